/** Suites of behaviours, each declared by a function and run for everyone who must behave like that. */
export { codesOf, errorOf } from './error-codes.ts';
export type { Handle, Host, Library, Session } from './library.ts';
export { describeLibrary } from './library-suite.ts';
export { type CrowdReport, playAll } from './request-crowd.ts';
export { dice, planRequest, play, type RequestPlan, type Stage } from './request-plan.ts';
export { expectNothingLeft, openHost, playedOn, type Rig, storedIn } from './rig.ts';
