import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@lifeguard/testkit/vitest';
import { type Errand, interleaved, openNamespace } from './rig.ts';

const folder = fs.mkdtempSync(join(tmpdir(), 'lifeguard-cls-'));
let files = 0;

afterAll(() => fs.rmSync(folder, { recursive: true }));

/** A file with something in it, and no other test's. */
function file(): string {
  files += 1;
  const path = join(folder, `file ${files}`);
  fs.writeFileSync(path, 'content');
  return path;
}

const missing = (): string => `${file()} that is not there`;
const now = new Date(0);
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** With an open file, which its process closes at its end. */
const opened = (use: (descriptor: number) => void): void => use(fs.openSync(file(), 'r+'));

const errands: Readonly<Record<string, Errand>> = {
  access: (done) => fs.access(file(), done),
  appendFile: (done) => fs.appendFile(file(), 'more', done),
  chmod: (done) => fs.chmod(file(), 0o600, done),
  chown: (done) => fs.chown(file(), me.uid, me.gid, done),
  close: (done) => opened((descriptor) => fs.close(descriptor, done)),
  copyFile: (done) => fs.copyFile(file(), missing(), done),
  exists: (done) => fs.exists(file(), done),
  fchmod: (done) => opened((descriptor) => fs.fchmod(descriptor, 0o600, done)),
  fchown: (done) => opened((descriptor) => fs.fchown(descriptor, me.uid, me.gid, done)),
  fstat: (done) => opened((descriptor) => fs.fstat(descriptor, done)),
  fsync: (done) => opened((descriptor) => fs.fsync(descriptor, done)),
  ftruncate: (done) => opened((descriptor) => fs.ftruncate(descriptor, 1, done)),
  futimes: (done) => opened((descriptor) => fs.futimes(descriptor, now, now, done)),
  lchown: (done) => fs.lchown(file(), me.uid, me.gid, done),
  link: (done) => fs.link(file(), missing(), done),
  lstat: (done) => fs.lstat(file(), done),
  mkdir: (done) => fs.mkdir(missing(), done),
  mkdtemp: (done) => fs.mkdtemp(missing(), done),
  open: (done) => fs.open(file(), 'r', done),
  'open of what is not there': (done) => fs.open(missing(), 'r', done),
  read: (done) => opened((descriptor) => fs.read(descriptor, Buffer.alloc(4), 0, 4, 0, done)),
  readFile: (done) => fs.readFile(file(), done),
  readdir: (done) => fs.readdir(folder, done),
  readlink: (done) => fs.readlink(file(), done),
  realpath: (done) => fs.realpath(file(), done),
  rename: (done) => fs.rename(file(), missing(), done),
  rmdir: (done) => fs.rmdir(fs.mkdtempSync(missing()), done),
  stat: (done) => fs.stat(file(), done),
  symlink: (done) => fs.symlink(file(), missing(), done),
  truncate: (done) => fs.truncate(file(), 1, done),
  unlink: (done) => fs.unlink(file(), done),
  utimes: (done) => fs.utimes(file(), now, now, done),
  write: (done) => opened((descriptor) => fs.write(descriptor, 'more', done)),
  writeFile: (done) => fs.writeFile(file(), 'other', done),
  watch: (done) => {
    const path = file();
    const watcher = fs.watch(path, () => {
      watcher.close();
      done();
    });
    fs.appendFileSync(path, 'more');
  },
  // Says at once that the file is not there.
  watchFile: (done) => {
    const path = missing();
    fs.watchFile(path, { interval: 5 }, () => {
      fs.unwatchFile(path);
      done();
    });
  },
  'promises.readFile': (done) => void fs.promises.readFile(file()).then(done),
};

test.for(Object.entries(errands))('the context survives fs.%s', async ([, errand]) => {
  expect(await interleaved(openNamespace(), errand)).toEqual([1, 2, 3, 4, 5]);
});
