// What all scripts here share: a browser with nothing of its own, and what is wrong with a page in it.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(process.env.KILN_BROWSER_PACKAGES + "/");
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

export const address = process.env.KILN_PAGE;  // of the page under test
const pictures = process.env.KILN_PICTURES;
mkdirSync(pictures, { recursive: true });

// Only a page that hangs takes so long.
export const kPatience = 120_000;

let browser;
export async function openBrowser() {
  browser = await chromium.launch({
    executablePath: process.env.KILN_CHROMIUM || "/usr/bin/chromium",
    args: [
      ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
      "--disable-dev-shm-usage",  // containers have little of it
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
    ],
  });
}
export const closeBrowser = () => browser?.close();

// A page in a context of its own, which keeps what went wrong (`troubles`) and what it asked for
// (`requests`).
export async function openPage(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(kPatience);
  const page = await context.newPage();
  page.troubles = [];
  page.requests = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.troubles.push(message.text());
  });
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.on("request", (request) => page.requests.push(request.url()));
  return page;
}

// Waits, frame by frame, until it holds in the page. (waitForFunction needs eval, which the page's
// policy forbids.)
export async function until(page, condition, argument) {
  for (const end = Date.now() + kPatience; !(await page.evaluate(condition, argument));) {
    assert.ok(Date.now() < end, `it never holds: ${condition}`);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}
export const untilSays = (page, selector, words) =>
  page.locator(selector, { hasText: words }).waitFor();

export const picture = (page, name, options = {}) =>
  page.screenshot({ path: join(pictures, name + ".png"), ...options });

// What axe finds, one line each.
export async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(
    ({ id, impact, help, nodes }) => `${id} (${impact}): ${help}: ${nodes[0].html}`);
}

// Nothing is wider than the window, but for what scrolls in a frame of its own.
export async function expectNoOverflow(page) {
  const { wide, width } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth, width: document.documentElement.clientWidth }));
  assert.ok(wide <= width, `the document is ${wide} pixels wide in a window of ${width}`);
}

// Whether it is there to be seen, without scrolling.
export async function isInView(page, selector) {
  const box = await page.locator(selector).first().boundingBox();
  const { width, height } = page.viewportSize();
  return box !== null && box.y >= 0 && box.y + box.height <= height && box.x >= 0 && box.x < width;
}

// From its link to its heading, for each view.
export async function expectEachViewByOneLink(page, { name = "" } = {}) {
  const links = await page.locator("nav a").evaluateAll(
    (all) => all.map((link) => link.getAttribute("href")));
  assert.ok(links.length >= 7, `only ${links.length} views`);
  assert.equal(links.length, await page.locator("main section").count());
  for (const link of links) {
    await page.locator(`nav a[href="${link}"]`).click();
    assert.ok(await isInView(page, `${link} h2`), `the link leads to ${link}`);
    const text = await page.locator(`${link} > :not(h2)`).first().innerText();
    assert.ok(text.trim().length > 10, `${link} is blank: ${text}`);
    if (name) await picture(page, `${name}-${link.slice(1)}`);
  }
  await page.evaluate(() => scrollTo(0, 0));
}
