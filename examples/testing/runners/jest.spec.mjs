import { afterAll, afterEach, beforeEach, describe, test } from '@jest/globals';
import { declare } from './declare.mjs';

declare({ describe, test, concurrent: test.concurrent, beforeEach, afterEach, afterAll });
