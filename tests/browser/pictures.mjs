// The pictures of the README: a tuning and `kiln top` as they are on a terminal (tmux is that
// terminal, and hands out what is on its screen), and the daemon's page. $TOP: a `kiln` that has
// `top`, if this one has not.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { address, closeBrowser, kPatience, openBrowser, openPage, picture } from "./browser.mjs";

const kiln = process.env.KILN;
const trials = process.env.TRIALS || "6";
const kilnTop = process.env.TOP || kiln;
const kColours = ["#1b2430", "#ff7b72", "#7fd6a0", "#e3b341", "#8ec3ff", "#d2a8ff", "#76e3ea",
                  "#e6ebf1"];
const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
const hasTop = String(spawnSync(kilnTop, ["top", "--help"]).stdout).includes("Usage: kiln top");
const tmux = (...options) => execFileSync(
  "tmux", ["-L", "kiln-pictures", "-f", "/dev/null", "-u", ...options],
  { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8", TERM: "xterm-256color",
                             TMUX_TMPDIR: process.env.HOME } });

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function styleOf(state) {
  const [front, back] = state.inverse
    ? [state.back || "#12171e", state.front || "#e6ebf1"] : [state.front, state.back];
  return [front && `color:${front}`, back && `background:${back}`, state.bold && "font-weight:bold",
          state.dim && "opacity:.65", state.underline && "text-decoration:underline"]
    .filter(Boolean).join(";");
}

// One of the numbers of a style; tmux names colours by number.
function applyStyle(state, code) {
  if (code === 0) return {};
  if (code === 39) return { ...state, front: "" };
  if (code === 49) return { ...state, back: "" };
  if (code === 22) return { ...state, bold: false, dim: false };
  if (code >= 30 && code <= 37) return { ...state, front: kColours[code - 30] };
  if (code >= 40 && code <= 47) return { ...state, back: kColours[code - 40] };
  if (code >= 90 && code <= 97) return { ...state, front: kColours[code - 90] };
  const names = { 1: "bold", 2: "dim", 4: "underline", 7: "inverse" };
  if (names[code]) return { ...state, [names[code]]: true };
  if (names[code - 20]) return { ...state, [names[code - 20]]: false };
  return state;
}

// What `tmux capture-pane -e` prints, as HTML.
function htmlOf(screen) {
  let state = {};
  return screen.split(/(\x1b\[[0-9;]*m)/).map((part) => {
    const codes = /^\x1b\[([0-9;]*)m$/.exec(part);
    if (!codes) return part && `<span style="${styleOf(state)}">${escaped(part)}</span>`;
    for (const code of codes[1].split(";")) state = applyStyle(state, Number(code));
    return "";
  }).join("");
}

// Runs the command on a terminal until the screen is as wished, and takes its picture.
async function takeTerminal(name, { columns, rows, command, shown, isReady }) {
  const page = await openPage({ viewport: { width: 1400, height: 1000 } });
  tmux("new-session", "-d", "-x", String(columns), "-y", String(rows), command,
       ";", "set-option", "-g", "remain-on-exit", "on");
  try {
    let screen = "";
    for (const end = Date.now() + 3 * kPatience; !isReady(screen);) {
      await page.evaluate(() => new Promise(requestAnimationFrame));
      screen = tmux("capture-pane", "-e", "-p");
      const isOver = tmux("display-message", "-p", "#{pane_dead}").trim() === "1";
      assert.ok(isReady(screen) || (!isOver && Date.now() < end), `never as wished:\n${screen}`);
    }
    await page.setContent(`<pre style="display:inline-block;margin:0;padding:12px 16px;
      background:#12171e;color:#e6ebf1;font:13px/1.25 'DejaVu Sans Mono',monospace">` +
      `<span style="color:#7fd6a0">$ </span>${escaped(shown)}\n\n${htmlOf(screen.trimEnd())}</pre>`);
    await page.locator("pre").screenshot({ path: `${process.env.KILN_PICTURES}/${name}.png` });
  } finally {
    tmux("kill-server");
    await page.context().close();
  }
}

before(openBrowser);
after(closeBrowser);

test("a tuning", { skip: !hasTmux && "no tmux" }, () => takeTerminal("readme-tune", {
  columns: 118, rows: 32,
  shown: "kiln tune --network mobilenet_v1",
  command: `${kiln} tune --network mobilenet_v1 --trials-per-task ${trials} --db ${process.env.HOME}/tune.db`,
  isReady: (screen) => {
    const [, made, all] = /(\d+) trials of (\d+)/.exec(screen) || [0, 0, 1];
    return Number(made) > 0.75 * Number(all) && screen.includes("tuning");
  },
}));

test("the page", async () => {
  process.stdout.write("ask: work\n");
  const page = await openPage({ viewport: { width: 1200, height: 760 } });
  await page.goto(address + "/?network=mobilenet_v1&since=24h");
  await picture(page, "readme-page");
  await page.context().close();
});

const cannotTop = !hasTmux ? "no tmux" : !hasTop && "no `kiln top`";
test("kiln top", { skip: cannotTop }, () => takeTerminal("readme-top", {
  columns: 118, rows: 26,
  shown: `kiln top --tracker ${process.env.KILN_FARM}`,
  command: `${kilnTop} top --tracker ${process.env.KILN_FARM} --db ${process.env.KILN_DATABASE}`,
  isReady: (screen) => {
    const tasks = screen.split(/^.*Tasks of .*$/m)[1] || "";
    return /leased/.test(screen) && /running/.test(screen) && tasks.split("1 thread").length > 5;
  },
}));
