import { afterAll, afterEach, beforeEach, describe, test } from 'vitest';
import { declare } from './declare.mjs';

declare({ describe, test, concurrent: test.concurrent, beforeEach, afterEach, afterAll });
