// An L1 node that passes everything on and changes some of its answers.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface LyingNode {
  url: string;
  stop(): Promise<void>;
}

/** `lie` gets every result and returns what the caller is told. */
export async function startLyingNode(
  behind: string,
  lie: (method: string, result: unknown) => unknown,
): Promise<LyingNode> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString("utf8");
    const { method } = JSON.parse(body) as { method: string };
    const headers = { "content-type": "application/json" };
    const answer = await fetch(behind, { method: "POST", headers, body });
    const parsed = (await answer.json()) as { result?: unknown };
    if (parsed.result !== undefined) parsed.result = lie(method, parsed.result);
    outgoing.writeHead(200, headers).end(JSON.stringify(parsed));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
