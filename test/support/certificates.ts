/** A key and a certificate for `localhost` that nobody but itself has signed, made by openssl. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  readonly keyFile: string;
  readonly certFile: string;
  readonly key: string;
  /** Also the authority to trust. */
  readonly cert: string;
}

export function makeCertificate(folder: string): Certificate {
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", [...args, "-nodes", "-keyout", keyFile, "-out", certFile, ...subject], {
    stdio: "ignore",
  });
  const read = (path: string): string => readFileSync(path, "utf8");
  return { keyFile, certFile, key: read(keyFile), cert: read(certFile) };
}
