// Draws docs/pictures/dashboard.svg from the status that a real run left in its --out folder.
// Usage: node tools/dashboard-picture.mjs <out>/status.json
import { readFileSync, writeFileSync } from "node:fs";
import { dashboard } from "../packages/node/dist/display.js";
import { parseStatus } from "../packages/node/dist/status.js";

const file = process.argv[2];
if (file === undefined) {
  console.error("usage: node tools/dashboard-picture.mjs <out>/status.json");
  process.exit(2);
}
const status = parseStatus(readFileSync(file, "utf8"));

const columns = 132;
const charWidth = 8.4;
const lineHeight = 18;
const colours = { 31: "#ff7b72", 32: "#56d364", 36: "#56c8d8" };
const xmlText = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** One terminal line as positioned tspans; only the styles that display.ts paints with. */
function spans(line) {
  const parts = line.split(/\u001b\[([0-9;]*)m/);
  let style = { bold: false, dim: false, colour: null };
  let column = 0;
  let out = "";
  parts.forEach((part, i) => {
    if (i % 2 === 1) {
      if (part === "0" || part === "") style = { bold: false, dim: false, colour: null };
      else if (part === "1") style = { ...style, bold: true };
      else if (part === "2") style = { ...style, dim: true };
      else style = { ...style, colour: colours[part] ?? null };
      return;
    }
    if (part.length === 0) return;
    const fill = style.colour ?? (style.dim ? "#8b949e" : "#e6edf3");
    const weight = style.bold ? ' font-weight="bold"' : "";
    out += `<tspan x="${(16 + column * charWidth).toFixed(1)}" fill="${fill}"${weight}>${xmlText(part)}</tspan>`;
    column += part.length;
  });
  return out;
}

const lines = dashboard(status, columns).flatMap((line) => line.split("\n"));
const width = Math.round(32 + columns * charWidth);
const height = 32 + lines.length * lineHeight;
const text = lines
  .map((line, i) => `<text xml:space="preserve" y="${28 + i * lineHeight}">${spans(line)}</text>`)
  .join("\n");
writeFileSync(
  new URL("../docs/pictures/dashboard.svg", import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">\n<title>The dashboard of a running venue, from real output</title>\n<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n${text}\n</svg>\n`,
);
