// Changes: with the token, by keyboard, on the daemon's own page, and in no other way.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import {
  address, closeBrowser, findings, isInView, openBrowser, openPage, picture, untilSays,
} from "./browser.mjs";

const token = process.env.KILN_TOKEN;
const job = (id) => JSON.parse(execFileSync(process.env.KILN, ["job", String(id), "--json"]));
const button = (id, wish) => `button[data-job="${id}"][data-wish="${wish}"]`;
const press = async (page, id, wish) => {
  await page.waitForSelector(button(id, wish) + ":enabled");
  await page.locator(button(id, wish)).focus();
  await page.keyboard.press("Enter");
};
// Types it, as somebody without a mouse.
const unlock = async (page, secret) => {
  await page.locator("#unlock input").focus();
  await page.keyboard.type(secret);
  await page.keyboard.press("Enter");
};

before(openBrowser);
after(closeBrowser);

test("nothing can be changed before the token is there, nor with a wrong one", async () => {
  const page = await openPage();
  await page.goto(address + "/");
  for (const wish of ["pause", "cancel"]) {
    assert.ok(await page.locator(button(1, wish)).isDisabled(), wish);
  }
  await unlock(page, "ffffffffffffffffffffffffffffffff");
  await press(page, 1, "pause");
  await untilSays(page, "#change-status", "the token is not right: nothing was changed");
  await page.waitForSelector(button(1, "pause") + ":disabled");
  assert.ok(await isInView(page, "#change-status"), "said where the reader is");
  await picture(page, "wrong-token");
  assert.equal(job(1).state, "queued");
  // That the server refuses it is an error of the network to a browser.
  assert.deepEqual(page.troubles.filter((each) => !each.includes("401")), []);
  await page.context().close();
});

test("pause, resume and cancel by keyboard alone", async () => {
  const page = await openPage();
  await page.goto(address + "/");
  // Tab alone leads from the top to the field and to the buttons.
  const reached = async (selector) => {
    for (let i = 0; i < 80; ++i) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((it) => document.activeElement.matches(it), selector)) return true;
    }
    return false;
  };
  assert.ok(await reached("#unlock input"));
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  assert.ok(await reached(button(1, "pause")));
  await page.keyboard.press("Enter");
  await page.waitForSelector(button(1, "resume") + ":enabled");
  assert.match(await page.locator("#change-status").innerText(), /job 1: pause is noted/);
  assert.equal(job(1).state, "paused");
  await picture(page, "paused");
  assert.deepEqual(await findings(page), []);

  await press(page, 1, "resume");
  await page.waitForSelector(button(1, "pause") + ":enabled");
  assert.equal(job(1).state, "queued");

  const asked = [];
  page.once("dialog", (dialog) => { asked.push(dialog.message()); return dialog.dismiss(); });
  await press(page, 1, "cancel");
  assert.equal(job(1).state, "queued", "it was dismissed");
  page.once("dialog", (dialog) => { asked.push(dialog.message()); return dialog.accept(); });
  await press(page, 1, "cancel");
  await untilSays(page, "#change-status", "job 1: cancel is noted");
  assert.equal(job(1).state, "cancelled");
  assert.equal(asked.length, 2);
  assert.match(asked[0], /Cancel job 1 \(first\)\? Its trials are kept/);
  await page.locator(button(1, "cancel")).waitFor({ state: "detached" });
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test("the token is nowhere but in the tab's own storage", async () => {
  const page = await openPage();
  await page.goto(address + "/");
  await unlock(page, token);
  await press(page, 2, "pause");
  await untilSays(page, "#change-status", "job 2: pause is noted");
  const places = await page.evaluate(() => ({
    url: location.href, dom: document.documentElement.outerHTML,
    fields: [...document.querySelectorAll("input")].map((each) => each.value).join(),
    local: JSON.stringify(localStorage), cookie: document.cookie }));
  for (const [place, text] of Object.entries(places)) assert.ok(!text.includes(token), place);
  assert.deepEqual(await page.context().cookies(), []);
  assert.ok(page.requests.every((url) => !url.includes(token)));
  const other = await page.context().newPage();
  await other.goto(address + "/");
  assert.ok(await other.locator(button(2, "resume")).isDisabled(), "another tab has it not");
  await press(page, 2, "resume");
  await untilSays(page, "#change-status", "job 2: resume is noted");
  await page.context().close();
});

// Another site, at another port and under another name of this machine.
test("a page of another site changes nothing, reads nothing and frames nothing", async () => {
  const site = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!DOCTYPE html><title>elsewhere</title><p>elsewhere");
  });
  await new Promise((listens) => site.listen(0, "127.0.0.1", listens));
  const { port } = site.address();
  const target = `${address}/jobs/2/cancel`;
  for (const host of ["127.0.0.1", "localhost"]) {
    const page = await openPage();
    await page.goto(`http://${host}:${port}/`);
    const seen = await page.evaluate(async ([page, target, token]) => {
      const attempt = async (url, options) => {
        try {
          const reply = await fetch(url, options);
          return [reply.type, reply.status, (await reply.text()).slice(0, 80)].join(" ");
        } catch (error) {
          return "refused";
        }
      };
      return {
        read: await attempt(page + "/", {}),
        blind: await attempt(page + "/", { mode: "no-cors" }),
        post: await attempt(target, { method: "POST", mode: "no-cors", credentials: "include" }),
        cors: await attempt(target, { method: "POST" }),
        // Even one who knew it.
        token: await attempt(
          target, { method: "POST", headers: { Authorization: `Bearer ${token}` } }),
      };
    }, [address, target, token]);
    assert.equal(seen.read, "refused");
    // An answer without a body is all that a browser hands to a page that does not ask to read it.
    assert.match(seen.blind, /^(refused|opaque 0 )$/);
    assert.match(seen.post, /^(refused|opaque 0 )$/);
    assert.equal(seen.cors, "refused");
    assert.equal(seen.token, "refused");
    assert.equal(job(2).state, "queued");

    await page.setContent(`<form method="post" action="${target}"><button>win</button></form>`);
    await page.locator("button").click();
    await page.waitForURL(target);
    assert.match(await page.locator("body").innerText(), /comes from a page of another site/);
    assert.equal(job(2).state, "queued");

    await page.goto(`http://${host}:${port}/`);
    await page.evaluate((url) => new Promise((loaded) => {
      const frame = document.createElement("iframe");
      frame.onload = loaded;
      frame.src = url;
      document.body.append(frame);
    }), address + "/");
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    assert.equal(await framed.locator("section").count(), 0, "it is in a frame");
    assert.ok(page.troubles.some((each) => each.includes("frame-ancestors")), "why: its policy");
    await page.context().close();
  }
  site.close();
});
