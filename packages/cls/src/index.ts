import { ERROR_SYMBOL } from './context.ts';
import { createNamespace, destroyNamespace, getNamespace, reset } from './namespaces.ts';

/** What `import cls from` and `require()` give: an object whose members can be replaced, as users' tests do. */
const cls: {
  createNamespace: typeof createNamespace;
  getNamespace: typeof getNamespace;
  destroyNamespace: typeof destroyNamespace;
  reset: typeof reset;
  ERROR_SYMBOL: typeof ERROR_SYMBOL;
} = { createNamespace, getNamespace, destroyNamespace, reset, ERROR_SYMBOL };

export default cls;
export { type Context, ERROR_SYMBOL } from './context.ts';
export type { Namespace } from './namespace.ts';
export { createNamespace, destroyNamespace, getNamespace, reset } from './namespaces.ts';

/**
 * `require()` gives what has this name. Not in the types: TypeScript before 5.6 cannot read it.
 * https://nodejs.org/api/modules.html#loading-ecmascript-modules-using-require
 * @internal
 */
export { cls as 'module.exports' };
