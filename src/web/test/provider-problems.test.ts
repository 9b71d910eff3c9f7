import assert from "node:assert/strict";
import { test } from "node:test";
import { problemBrought } from "../page/provider-problems.ts";
import { languages } from "../page/words.ts";

test("every name the gateway sends back has words in both languages", () => {
  for (const name of ["denied", "expired", "down", "acr", "unknown", "refused", "too-many", "unavailable"]) {
    const word = problemBrought(`oidc-${name}`);
    assert.ok(word !== null, name);
    assert.ok(languages.fr[word] !== "" && languages.en[word] !== languages.fr[word]);
  }
});

test("every name the gateway sends back of a card has words in both languages", () => {
  const names = ["missing", "expired", "early", "revoked", "authority", "purpose", "unchecked", "unknown", "refused", "late"];
  for (const name of [...names, "too-many", "unavailable"]) {
    const word = problemBrought(`card-${name}`);
    assert.ok(word !== null, name);
    assert.ok(languages.fr[word] !== "" && languages.en[word] !== languages.fr[word]);
  }
});

test("an address cannot make the page say anything else", () => {
  for (const error of [null, "", "oidc-", "constructor", "call this number"]) assert.equal(problemBrought(error), null);
});
