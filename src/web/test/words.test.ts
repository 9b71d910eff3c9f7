import assert from "node:assert/strict";
import { test } from "node:test";
import { firstLanguage, languages } from "../page/words.ts";

test("the remembered language wins, then the browser's, then English", () => {
  assert.equal(firstLanguage(["en-GB", "fr"], "fr"), "fr");
  assert.equal(firstLanguage(["de", "fr-CA", "en"], null), "fr");
  assert.equal(firstLanguage(["de"], "xx"), "en");
});

test("no word is empty in any language", () => {
  for (const [language, words] of Object.entries(languages)) {
    for (const [name, word] of Object.entries(words)) {
      const text = typeof word === "string" ? word : (word as (argument: never) => string)("1" as never);
      assert.notEqual(text.trim(), "", `${name} in ${language}`);
    }
  }
});
