/** What a pool does, live in the terminal, while things go wrong. `--help` tells what can be asked for. */
import { type Flags, HELP, readFlags } from './flags.ts';
import { Paint } from './paint.ts';
import { LiveScreen, PlainScreen, print } from './screen.ts';
import { Show } from './show.ts';
import { Stage } from './stage.ts';
import { summarise } from './summary.ts';
import { planTour } from './tour.ts';

const flags = flagsOrExit();
if (flags.help) process.stdout.write(HELP);
else await run(flags);

async function run({ deeds, seconds, color, live }: Flags): Promise<void> {
  const ending = endOnSignals();
  const stage = await openOrEnd(ending.signal);
  if (stage === undefined) return;
  const paint = new Paint(color);
  const show = new Show(stage, live ? new LiveScreen(paint) : new PlainScreen(paint), ending);
  await show.run(planTour(deeds), seconds);
  for (const line of summarise(stage.pool.snapshot(), stage.load.tally, stage.seconds)) print(line);
}

/** Ctrl-C while the server starts also reaches the server: what it says then is nobody's concern. */
async function openOrEnd(signal: AbortSignal): Promise<Stage | undefined> {
  try {
    return await Stage.open(print);
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  }
}

/** The first signal ends it in good order, the second one at once: the test kit ends its server on exit. */
function endOnSignals(): AbortController {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (ending.signal.aborted) process.exit(130);
      ending.abort();
    });
  }
  // Whoever read the lines has gone, as in `| head`.
  process.stdout.on('error', () => ending.abort());
  return ending;
}

function flagsOrExit(): Flags {
  try {
    return readFlags(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
