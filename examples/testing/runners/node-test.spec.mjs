import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { declare } from './declare.mjs';

/** Here it is the suite that says whether its tests run at the same time. */
const suite = (name, fn) => describe(name, { concurrency: name === 'at the same time' ? 8 : 1 }, fn);

declare({ describe: suite, test, concurrent: test, beforeEach, afterEach, afterAll: after });
