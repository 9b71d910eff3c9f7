// The secret that a ticket is of use with: made here at each opening, known to the gateway by its hash alone until it is shown.

const SECRET_BYTES = 32;

/** Browsers hash only for pages that came over https, or from this machine. */
export class InsecureAddress extends Error {}

export function newSecret(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/** SHA-256 of the secret's text, as base64url. */
export async function hashOf(secret: string): Promise<string> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle;
  if (subtle === undefined) throw new InsecureAddress("this page's address is not secure: the browser hashes nothing for it");
  return base64Url(new Uint8Array(await subtle.digest("SHA-256", new TextEncoder().encode(secret))));
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
