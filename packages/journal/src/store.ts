// The LMDB environment of one journal: opening, identity, the single-writer claim. One file, four tables.
//
// overlappingSync is off: a transaction becomes visible, here and to other processes, only after the kernel has reported
// its pages and its meta page on disk. So whoever reads a cycle may act on it, and a resolved put is durable.
import { closeSync, existsSync, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { JournalError } from "./errors.ts";

export const FORMAT_VERSION = 1;
const FILE_NAME = "journal.mdb";

/** What a journal belongs to. A journal opened for another venue or genesis is refused. */
export interface JournalIdentity {
  readonly venueId: string;
  readonly genesisRoot: `0x${string}`;
}

export interface Store {
  readonly root: RootDatabase<Buffer, string>;
  readonly log: Database<Buffer, number>;
  readonly cycles: Database<Buffer, number>;
  /** Keys [sequence, chunk]; the header that makes a snapshot visible is chunk −1. */
  readonly snapshots: Database<Buffer, [number, number]>;
  readonly meta: Database<Buffer, string>;
}

/** LMDB has one environment a file and process: while it is open read-only here, it cannot be opened to write. */
const openReaders = new Map<string, number>();

const TABLES = { encoding: "binary" } as const;

export function openStoreToWrite(directory: string, identity: JournalIdentity): Store {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, FILE_NAME);
  if ((openReaders.get(resolve(path)) ?? 0) > 0) {
    throw new JournalError("LOCKED", "this process has the journal open to read; close that reader first", {
      directory,
    });
  }
  const isNew = !existsSync(path);
  if (!isNew) checkFileLength(path);
  const root = openEnvironment(path, false);
  if (isNew) syncDirectory(directory);
  const store = tablesOf(root);
  let claimed = false;
  try {
    claimWriter(store, directory);
    claimed = true;
    checkOrWriteIdentity(store, identity);
  } catch (error) {
    if (claimed) releaseWriter(store);
    void root.close();
    throw error;
  }
  return store;
}

export function openStoreToRead(directory: string): { store: Store; identity: JournalIdentity } {
  const path = join(directory, FILE_NAME);
  if (!existsSync(path)) throw new JournalError("NOT_FOUND", "no journal in this directory", { directory });
  checkFileLength(path);
  const root = openEnvironment(path, true);
  let store: Store;
  try {
    store = tablesOf(root);
  } catch (cause) {
    void root.close();
    throw new JournalError("NOT_FOUND", "the journal is not initialised yet", { directory }, cause);
  }
  const identity = readIdentity(store);
  if (identity === null) {
    void root.close();
    throw new JournalError("NOT_FOUND", "the journal is not initialised yet", { directory });
  }
  openReaders.set(resolve(path), (openReaders.get(resolve(path)) ?? 0) + 1);
  return { store, identity };
}

export async function closeReaderStore(directory: string, store: Store): Promise<void> {
  const path = resolve(join(directory, FILE_NAME));
  openReaders.set(path, (openReaders.get(path) ?? 1) - 1);
  await store.root.close();
}

/** A new file survives a power failure only when its directory entry is on disk too; LMDB leaves that to its user. */
function syncDirectory(directory: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function openEnvironment(path: string, readOnly: boolean): RootDatabase<Buffer, string> {
  try {
    return open<Buffer, string>({
      path,
      noSubdir: true,
      encoding: "binary",
      overlappingSync: false,
      eventTurnBatching: false,
      readOnly,
      maxDbs: 8,
    });
  } catch (cause) {
    throw new JournalError("READ_FAILED", "the journal file cannot be opened", { path }, cause);
  }
}

function tablesOf(root: RootDatabase<Buffer, string>): Store {
  return {
    root,
    log: root.openDB<Buffer, number>({ name: "log", ...TABLES }),
    cycles: root.openDB<Buffer, number>({ name: "cycles", ...TABLES }),
    snapshots: root.openDB<Buffer, [number, number]>({ name: "snapshots", ...TABLES }),
    meta: root.openDB<Buffer, string>({ name: "meta", ...TABLES }),
  };
}

// ── identity ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface StoredIdentity extends JournalIdentity {
  readonly formatVersion: number;
}

function readIdentity(store: Store): JournalIdentity | null {
  const stored = store.meta.get("identity");
  if (stored === undefined) return null;
  const identity = parseMeta<StoredIdentity>(stored, "identity");
  if (identity.formatVersion !== FORMAT_VERSION) {
    throw new JournalError("FORMAT_VERSION", "the journal was written in another format", {
      stored: identity.formatVersion,
      expected: FORMAT_VERSION,
    });
  }
  return { venueId: identity.venueId, genesisRoot: identity.genesisRoot };
}

function parseMeta<T>(stored: Buffer, key: string): T {
  try {
    return JSON.parse(stored.toString("utf8")) as T;
  } catch (cause) {
    throw new JournalError("CORRUPTED", "a meta entry is damaged", { key }, cause);
  }
}

function checkOrWriteIdentity(store: Store, expected: JournalIdentity): void {
  const stored = readIdentity(store);
  if (stored === null) {
    const identity: StoredIdentity = { formatVersion: FORMAT_VERSION, ...expected };
    store.meta.putSync("identity", Buffer.from(JSON.stringify(identity), "utf8"));
    return;
  }
  for (const field of ["venueId", "genesisRoot"] as const) {
    if (stored[field] === expected[field]) continue;
    throw new JournalError("IDENTITY_MISMATCH", `the journal belongs to another ${field}`, {
      stored: stored[field],
      expected: expected[field],
    });
  }
}

// ── single writer ──────────────────────────────────────────────────────────────────────────────────────────────────

interface Writer {
  readonly processId: number;
  /** Distinguishes a process from a later one with the same id; empty where the system does not tell. */
  readonly startedAt: string;
}

/** The store's own write lock makes check and claim atomic. A killed writer leaves a claim whose process is gone. */
function claimWriter(store: Store, directory: string): void {
  const own: Writer = { processId: process.pid, startedAt: startOf(process.pid) };
  const holder = store.meta.transactionSync((): Writer | null => {
    const stored = store.meta.get("writer");
    if (stored !== undefined) {
      const writer = parseMeta<Writer>(stored, "writer");
      if (isAlive(writer)) return writer;
    }
    store.meta.putSync("writer", Buffer.from(JSON.stringify(own), "utf8"));
    return null;
  });
  if (holder !== null) {
    throw new JournalError("LOCKED", "another process writes this journal", {
      directory,
      processId: holder.processId,
    });
  }
}

export function releaseWriter(store: Store): void {
  store.meta.removeSync("writer");
}

function isAlive(writer: Writer): boolean {
  try {
    process.kill(writer.processId, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return writer.startedAt === startOf(writer.processId);
}

function startOf(processId: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const status = readFileSync(`/proc/${processId}/stat`, "utf8");
    // The command name may contain spaces; the fields after its closing parenthesis do not. Start time is field 22.
    const ticks = status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    return `${boot}:${ticks}`;
  } catch {
    return "";
  }
}

// ── length of the file ─────────────────────────────────────────────────────────────────────────────────────────────

const META_PAGE_HEADER_BYTES = 24;
const META_MAGIC = 0xbeefc0de;
/** Pages freed at the end of a transaction may never have been written; a larger shortfall is a truncated file. */
const UNWRITTEN_PAGES_MAX = 256;

/** LMDB maps the file: touching a page beyond its end would kill the process instead of raising an error. */
function checkFileLength(path: string): void {
  const file = openSync(path, "r");
  try {
    const fileBytes = fstatSync(file).size;
    if (fileBytes === 0) return;
    const first = Buffer.alloc(176);
    const fail = (what: string, context: Record<string, number>): never => {
      throw new JournalError("TRUNCATED", what, { path, fileBytes, ...context });
    };
    if (readSync(file, first, 0, first.length, 0) < first.length) fail("the journal file has no header", {});
    if (first.readUInt32LE(META_PAGE_HEADER_BYTES) !== META_MAGIC) {
      throw new JournalError("CORRUPTED", "the journal file has a damaged header", { path });
    }
    const pageBytes = first.readUInt32LE(META_PAGE_HEADER_BYTES + 24);
    const second = Buffer.alloc(first.length);
    if (readSync(file, second, 0, second.length, pageBytes) < second.length)
      fail("the journal file has one header", {});
    const metas = [first, second].map((page) => ({
      transaction: page.readBigUInt64LE(META_PAGE_HEADER_BYTES + 128),
      lastPage: Number(page.readBigUInt64LE(META_PAGE_HEADER_BYTES + 120)),
    }));
    const [a, b] = metas as [(typeof metas)[0], (typeof metas)[0]];
    const { lastPage } = a.transaction > b.transaction ? a : b;
    if (fileBytes < (lastPage + 1 - UNWRITTEN_PAGES_MAX) * pageBytes) {
      fail("the journal file ends before its last page", { expectedBytes: (lastPage + 1) * pageBytes });
    }
  } finally {
    closeSync(file);
  }
}
