// The page for somebody who forbids scripts: it is loaded anew by itself, and what is chosen is asked
// for by the form.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { address, closeBrowser, openBrowser, openPage } from "./browser.mjs";

before(openBrowser);
after(closeBrowser);

test("choices work without scripts", async () => {
  const page = await openPage({ javaScriptEnabled: false });
  await page.goto(address + "/");
  assert.match(await page.locator("#live-status").innerText(), /^Not live without scripts: as of /);
  assert.equal(await page.locator("#unlock").isVisible(), false, "nothing to type a token into");
  await page.locator("select[name=network]").selectOption("mobilenet_v1");
  await page.locator("select[name=since]").selectOption("8h");
  await page.locator("button[type=submit]:visible").click();
  await page.waitForURL("**/?network=mobilenet_v1&since=8h");
  assert.match(await page.locator("h1").innerText(), /mobilenet_v1/);
  assert.equal(await page.locator("select[name=network]").inputValue(), "mobilenet_v1");
  assert.match(await page.locator("#verdict .headline").innerText(), /ms untuned/);
  assert.deepEqual(page.troubles, []);
});

test("the page without scripts loads itself anew", async () => {
  const page = await openPage({ javaScriptEnabled: false });
  const answer = await page.goto(address + "/");
  assert.match(await answer.text(),
               /<noscript><meta http-equiv="refresh" content="30"><\/noscript>/);
});
