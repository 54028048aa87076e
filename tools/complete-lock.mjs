// Adds to package-lock.json the platform packages that npm left out because the registry at hand does not serve them: without
// their entries `npm ci` refuses the lock on every machine. `--check` only compares. Run after every change of dependencies.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rootDirectory } from "./install.mjs";

const SYSTEMS = {
  aix: "aix",
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  netbsd: "netbsd",
  openbsd: "openbsd",
  openharmony: "openharmony",
  sunos: "sunos",
  win32: "win32",
  fsevents: "darwin",
};
const ARCHITECTURES = {
  amd64: "x64",
  x64: "x64",
  arm64: "arm64",
  arm: "arm",
  ia32: "ia32",
  loong64: "loong64",
  mips64el: "mips64el",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
};

const file = join(rootDirectory, "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const added = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (
      lock.packages[`${path}/node_modules/${name}`] !== undefined ||
      lock.packages[`node_modules/${name}`] !== undefined
    )
      continue;
    const platform = platformOf(name);
    if (platform === undefined || !/^[~^]?\d+\.\d+\.\d+$/.test(version)) {
      console.error(`${path}: ${name}@${version} is missing and names no platform; add it by hand`);
      process.exit(1);
    }
    const flags = entry.dev ? { dev: true } : {};
    lock.packages[`node_modules/${name}`] = {
      version: version.replace(/^[~^]/, ""),
      ...platform,
      ...flags,
      optional: true,
    };
    added.push(name);
  }
}
if (added.length === 0) {
  console.log("package-lock.json names every platform");
} else if (process.argv.includes("--check")) {
  console.error(`package-lock.json lacks ${added.length} platform packages; run node tools/complete-lock.mjs`);
  process.exit(1);
} else {
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added ${added.length} platform packages to package-lock.json`);
}

/** Platform packages say in their name what they are for. */
function platformOf(name) {
  const words = name.split(/[@/.-]/);
  const system = words.find((word) => Object.hasOwn(SYSTEMS, word)) ?? (/eabi/.test(name) ? "android" : undefined);
  if (system === undefined) return undefined;
  const architecture = words.find((word) => Object.hasOwn(ARCHITECTURES, word));
  const libc = system !== "linux" ? undefined : /musl/.test(name) ? "musl" : /gnu/.test(name) ? "glibc" : undefined;
  return {
    ...(architecture ? { cpu: [ARCHITECTURES[architecture]] } : {}),
    ...(libc ? { libc: [libc] } : {}),
    os: [SYSTEMS[system]],
  };
}
