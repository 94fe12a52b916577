import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './account.ts';
import type { Settings } from './cluster.ts';
import { findProgram } from './program.ts';
import { giveTo } from './scratch.ts';

export interface Certificate {
  /** The certificate itself, which is its own authority: `ssl: { ca: pem }`. */
  readonly pem: string;
  readonly settings: Settings;
}

const SUBJECT = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];

/** A key and a self-signed certificate for a server on the loopback interface. Node alone cannot sign one. */
export function makeCertificate(home: string, account: Account): Certificate {
  const openssl = findProgram('openssl');
  if (openssl === undefined) throw new Error('ssl: true needs openssl; guard the test by missing("openssl").');
  const [key, certificate] = [join(home, 'server.key'), join(home, 'server.crt')];
  const files = ['-keyout', key, '-out', certificate];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync(openssl, ['req', ...kind, ...SUBJECT, ...files], { stdio: 'pipe' });
  chmodSync(key, 0o600);
  for (const file of [key, certificate]) giveTo(file, account);
  return {
    pem: readFileSync(certificate, 'utf8'),
    settings: { ssl: 'on', ssl_key_file: key, ssl_cert_file: certificate },
  };
}
