/** Draws a CPU profile: `node tools/flame.ts FILE.cpuprofile [TITLE] > FILE.svg`. */
import { readFileSync } from 'node:fs';
import { flameBoxes, flameGraph } from './flame-graph.ts';
import { type CpuProfile, flameTree } from './flame-tree.ts';

export function flame(profile: CpuProfile, title: string): string {
  const description = 'Each box is a function, as wide as its share of the time, under the function that called it.';
  return flameGraph({ title, description, boxes: flameBoxes(flameTree(profile)) });
}

if (import.meta.main) {
  const [path = '', title = 'Where the time goes'] = process.argv.slice(2);
  process.stdout.write(flame(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile, title));
}
