#!/usr/bin/env node
import { existsSync } from "node:fs";

const entry = new URL("../dist/main.js", import.meta.url);
if (!existsSync(entry)) {
  console.error("tidemark is not built yet: run `npm start -- --help` or `npm run build` once");
  process.exit(2);
}
await import(entry.href);
