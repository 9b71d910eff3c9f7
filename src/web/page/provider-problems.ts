// Why a sign-in by a provider or a card came to nothing: the gateway's names for it, in the page's words.

import type { PlainWord } from "./words.ts";

const WORDS: ReadonlyMap<string, PlainWord> = new Map<string, PlainWord>([
  ["oidc-denied", "providerDenied"],
  ["oidc-expired", "providerExpired"],
  ["oidc-down", "providerDown"],
  ["oidc-acr", "providerTooWeak"],
  ["oidc-unknown", "providerUnknown"],
  ["oidc-refused", "providerRefused"],
  ["oidc-too-many", "signInTooMany"],
  ["oidc-unavailable", "signInUnavailable"],
  ["card-missing", "cardMissing"],
  ["card-expired", "cardExpired"],
  ["card-early", "cardEarly"],
  ["card-revoked", "cardRevoked"],
  ["card-authority", "cardAuthority"],
  ["card-purpose", "cardPurpose"],
  ["card-unchecked", "cardUnchecked"],
  ["card-unknown", "cardUnknown"],
  ["card-refused", "cardRefused"],
  ["card-late", "providerExpired"],
  ["card-too-many", "signInTooMany"],
  ["card-unavailable", "signInUnavailable"],
]);

/** The word for what the address says; anybody can write one, so that no other text is shown. */
export function problemBrought(error: string | null): PlainWord | null {
  return error === null ? null : (WORDS.get(error) ?? null);
}
