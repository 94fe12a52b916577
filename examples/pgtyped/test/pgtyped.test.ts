import { describeLibrary } from '@lifeguard/conformance';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);
