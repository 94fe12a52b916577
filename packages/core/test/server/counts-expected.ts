/**
 * What one deed costs, counted by `counts-program.ts`: round trips, packets, the writes they are made of, bytes sent and
 * received, timers, promises (each `await` counts as one more), and the messages sent, by type: Parse, Bind, Describe, Execute,
 * Sync, Query. Of the pool with its defaults and ten open connections.
 *
 * Fewer is to be celebrated, and pasted here; more needs a reason in the commit.
 */
export const EXPECTED: string = `
                                          trips  packets   writes     sent received   timers promises  messages
a new text                                    1        1        1       78       75        0        4  1P 1B 1D 1E 1S
a known text                                  1        1        1       56       37        0        1  1B 1E 1S
a text without values                         1        1        1       51       37        0        1  1B 1E 1S
a statement with a time limit                 1        1        1      131       69        0       13  2B 2E 1S
a statement in a scope with settings          1        1        1      121       68        0       23  2B 2E 1S
a transaction of 1                            2        2        2      105       76        0       62  1P 2B 2E 1S 1Q
a transaction of 2                            3        3        3      161      113        0       71  1P 3B 3E 2S 1Q
a transaction of 5                            6        6        6      329      224        0       98  1P 6B 6E 5S 1Q
a transaction of 2, limit, settings           3        3        3      292      163        0       71  2P 5B 5E 2S 1Q
a transaction of 2, the last marked           2        2        2      187      117        0       71  2P 4B 4E 2S
a transaction of 5 in parallel                2        2        2      309      200        0       76  1P 6B 6E 1S 1Q
a transaction, one of 2 nested                3        3        3      223      138        0       96  2P 4B 4E 2S 1Q
a batch of 5                                  1        1        1      260      161        0       15  5B 5E 1S
a lease with 2 statements                     2        2        2      112       74        0       23  2B 2E 2S
50 statements in parallel                     2        2        2     2800     1850        0      101  50B 50E 50S
a known text, lane: false                     1        1        1       56       37        0        4  1B 1E 1S
50 in parallel, lane: false                  50       50       50     2800     1850        0      411  50B 50E 50S
a known text, prepare: false                  1        1        1       72       69        0        1  1P 1B 1D 1E 1S
`;
