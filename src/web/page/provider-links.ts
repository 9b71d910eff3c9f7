// The other ways to sign in, as links: a card first, since whoever has one has it at hand.

import type { SignInOffer } from "./gateway.ts";
import type { Words } from "./words.ts";

export function linksOf({ card, providers }: SignInOffer, words: Words): HTMLAnchorElement[] {
  const links = providers.map(({ title, url }) => linkTo(url, words.signInWith(title)));
  return card === null ? links : [linkTo(card.url, words.signInByCard), ...links];
}

function linkTo(url: string, text: string): HTMLAnchorElement {
  const link = document.createElement("a");
  link.className = "provider";
  link.href = new URL(url, document.baseURI).href;
  link.textContent = text;
  return link;
}
