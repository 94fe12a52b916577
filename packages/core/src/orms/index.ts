/**
 * Hooks for libraries that take no `pg.Pool`, or not as it is. Those that do need none of them: `pool.asPgPool({ pg })`.
 *
 * @packageDocumentation
 */
export { type DatabasesLike, databasesOn } from './databases.ts';
export type { HookOptions } from './hook.ts';
export { type MikroOrmOptions, mikroOrmOptions } from './mikro-orm.ts';
export { type AsyncMethod, nestable } from './nestable.ts';
export { type PrismaLike, prismaOn } from './prisma.ts';
export { type SequelizeLike, sequelizeOn } from './sequelize.ts';
export { type SlonikHookOptions, type SlonikOptions, slonikOptions } from './slonik.ts';
export { type TypeOrmDriver, typeormDriver } from './typeorm.ts';
