/** What `node --cpu-prof` and the inspector write; the members that are read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** Where code comes from. The first four are folders of ours; `core` is what lies beside them. */
export type Origin = 'pool' | 'scope' | 'pg' | 'core' | 'driver' | 'node' | 'gc' | 'native' | 'bench' | 'idle';

/** A function under those that called it, however V8 split it up. */
export interface Frame {
  readonly label: string;
  readonly origin: Origin;
  /** Microseconds, those of the callees included. */
  total: number;
  own: number;
  readonly callees: Map<string, Frame>;
}

/** Merged by function; the root has no name and is not drawn. */
export function flameTree({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const own = new Map<number, number>();
  // A sample holds until the next one comes.
  for (const [index, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[index + 1] ?? 0));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const root: Frame = { label: '', origin: 'native', total: 0, own: 0, callees: new Map() };
  const [first] = nodes;
  if (first !== undefined) enter(first, root, { own, byId });
  return root;
}

interface Sampled {
  readonly own: ReadonlyMap<number, number>;
  readonly byId: ReadonlyMap<number, ProfileNode>;
}

function enter(node: ProfileNode, frame: Frame, sampled: Sampled): number {
  const own = sampled.own.get(node.id) ?? 0;
  const called = (node.children ?? []).map((id) => {
    const callee = sampled.byId.get(id);
    return callee === undefined ? 0 : enter(callee, calleeOf(frame, callee.callFrame), sampled);
  });
  const total = called.reduce((sum, micros) => sum + micros, own);
  frame.own += own;
  frame.total += total;
  return total;
}

function calleeOf(caller: Frame, frame: CallFrame): Frame {
  const key = `${frame.functionName} ${frame.url} ${frame.lineNumber}`;
  const known = caller.callees.get(key);
  if (known !== undefined) return known;
  const fresh: Frame = { label: labelOf(frame), origin: originOf(frame), total: 0, own: 0, callees: new Map() };
  caller.callees.set(key, fresh);
  return fresh;
}

/** Microseconds by origin, each counted where it was spent. */
export function ownByOrigin(frame: Frame, sums: Map<Origin, number> = new Map()): Map<Origin, number> {
  if (frame.own > 0) sums.set(frame.origin, (sums.get(frame.origin) ?? 0) + frame.own);
  for (const callee of frame.callees.values()) ownByOrigin(callee, sums);
  return sums;
}

const OURS = /\/packages\/core\/(?:src|dist)\/((?:(pool|scope|pg)\/)?.*)$/;
const PACKAGE = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?:.*\/)?([^/]+)$/;
const DRIVER = /^(pg|pg-protocol|pg-types|pg-pool|pg-connection-string|postgres-(array|bytea|date|interval))$/;
const WITHOUT_FILE: Readonly<Record<string, Origin>> = { '(garbage collector)': 'gc', '(idle)': 'idle' };

function originOf({ functionName, url }: CallFrame): Origin {
  if (url === '') return WITHOUT_FILE[functionName] ?? 'native';
  if (url.startsWith('node:')) return 'node';
  const ours = OURS.exec(url);
  if (ours !== null) return (ours[2] as Origin | undefined) ?? 'core';
  return DRIVER.test(PACKAGE.exec(url)?.[1] ?? '') ? 'driver' : 'bench';
}

/** Without the machine's own paths. */
function labelOf({ functionName, url, lineNumber }: CallFrame): string {
  if (url === '') return functionName === '' ? '(anonymous)' : functionName;
  const place = url.startsWith('node:') ? url : placeOf(url);
  return functionName === '' ? `${place}:${lineNumber + 1}` : `${functionName} · ${place}`;
}

function placeOf(url: string): string {
  const within = PACKAGE.exec(url);
  return OURS.exec(url)?.[1] ?? (within === null ? url.slice(url.lastIndexOf('/') + 1) : `${within[1]}/${within[2]}`);
}
