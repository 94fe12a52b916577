/** What users have written against @types/cls-hooked, which it compiles with; the tests compile it with our types. */

import { EventEmitter } from 'node:events';
import * as cls from 'cls-hooked';

const session: cls.Namespace = cls.createNamespace('session');
const found: cls.Namespace | undefined = cls.getNamespace('session');
const typed: cls.Namespace<{ user: string; count: number }> = cls.createNamespace<{ user: string; count: number }>(
  'typed',
);
const count: number = typed.set('count', 1);
const user: string = typed.get('user');
const anything: string = session.get('anything');
session.run(() => undefined);
// biome-ignore lint/nursery/noMisusedPromises: what many do, and the types of cls-hooked allow
session.run(async (context) => void context.anything.deep);
const returned: number = session.runAndReturn((outer) => outer.count as number);
const promised: Promise<string> = session.runPromise(async () => 'later');
const bound: (a: number) => string = session.bind((a: number) => String(a), session.createContext());
session.bindEmitter(new EventEmitter());
const context = session.createContext();
context.anything = 1;
session.enter(context);
session.exit(context);
session.active.anything = 2;
cls.destroyNamespace('session');
cls.reset();

export { anything, bound, count, found, promised, returned, user };
