// A page that is open while things happen: what its reader is at stays, and it says how old it is.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import {
  address, closeBrowser, isInView, openBrowser, openPage, picture, until, untilSays,
} from "./browser.mjs";

const kDense = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";

before(openBrowser);
after(closeBrowser);

const ask = (what) => process.stdout.write(`ask: ${what}\n`);
const submit = (name) => execFileSync(
  process.env.KILN, ["submit", "--workload", kDense, "--window", "night", "--name", name]);

// It would be gone if the page were loaded anew.
const mark = (page) => page.evaluate(() => { window.isTheSamePage = true; });
const expectTheSame = async (page) =>
  assert.ok(await page.evaluate(() => window.isTheSamePage === true), "it was loaded anew");

test("a job that is submitted appears, and what the reader is at stays", async () => {
  const page = await openPage({ viewport: { width: 700, height: 800 } });
  await page.goto(address + "/");
  await mark(page);
  await page.locator("#curves summary").first().click();
  await page.locator("#queue .scroll").last().evaluate((table) => { table.scrollLeft = 40; });
  const table = page.locator("#queue .scroll").nth(1);
  await table.evaluate((it) => { it.scrollLeft = 60; it.focus(); });
  const top = await page.evaluate(() => scrollY);
  submit("appears-later");
  await untilSays(page, "#queue", "appears-later");
  await expectTheSame(page);
  assert.equal(await table.evaluate((it) => it.scrollLeft), 60, "the place in the table");
  assert.ok(await table.evaluate((it) => it === document.activeElement), "the focus");
  assert.ok(await page.locator("#curves details").first().evaluate((it) => it.open), "details");
  assert.equal(await page.evaluate(() => scrollY), top, "the place on the page");
  assert.match(await page.locator("#live-status").innerText(), /^Live: as of /);
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test("a selection of text stays until it is given up", async () => {
  const page = await openPage();
  await page.goto(address + "/");
  await page.locator("#queue caption").last().evaluate((it) => getSelection().selectAllChildren(it));
  const selected = await page.evaluate(() => getSelection().toString());
  submit("under-a-selection");
  // The section that has it stands still; the clock of the others goes on.
  const asOf = await page.locator("#live-status").innerText();
  await until(
    page, (before) => document.getElementById("live-status").textContent !== before, asOf);
  assert.equal(await page.evaluate(() => getSelection().toString()), selected);
  await page.evaluate(() => getSelection().removeAllRanges());
  await untilSays(page, "#queue", "under-a-selection");
  await page.context().close();
});

test("a daemon that is gone makes it stale, one that comes live, a newer database stale", async () => {
  const page = await openPage();
  await page.goto(address + "/");
  await mark(page);
  ask("kill");
  await untilSays(page, "#live-status", "Stale since");
  const words = await page.locator("#live-status").innerText();
  assert.match(words, /^Stale since .*: the daemon does not answer/);
  assert.match(await page.locator("#layers").innerText(), /Where the time is now/, "it stays");
  await page.locator("#store").scrollIntoViewIfNeeded();
  assert.ok(await isInView(page, "#live-status"), "said wherever the reader is");
  await picture(page, "stale");
  ask("start");
  await untilSays(page, "#live-status", "Live: as of");
  ask("newer");
  await untilSays(page, "#live-status", "newer Kiln");
  assert.match(await page.locator("#live-status").innerText(),
               /^Stale since [^:]+:[^:]+:.*The database cannot be read now: .*newer Kiln/);
  await expectTheSame(page);
  await page.context().close();
});
