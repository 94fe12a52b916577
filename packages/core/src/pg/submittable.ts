/** What `client.query` takes beside statements: it writes its own messages. */
export interface Submittable {
  submit(connection: never): unknown;
}
