/**
 * The demo server's switches, where it has any (`headwater seed --demo-controls`): whether it seeds,
 * and whether it serves the film over HTTP.
 */

/** How the server is. */
export interface ServerState {
  seeder: boolean;
  origin: boolean;
}

const ADDRESS = "demo/controls";

/** What it is; null where the server has no switches. */
export async function serverState(): Promise<ServerState | null> {
  return read(await fetch(ADDRESS).catch(() => null));
}

/** Turns a switch. */
export async function turn(change: Partial<ServerState>): Promise<ServerState | null> {
  // The header is one that no other site may send here: the server asks for it.
  const headers = { "content-type": "application/json", "x-headwater-demo": "1" };
  return read(await fetch(ADDRESS, { method: "POST", headers, body: JSON.stringify(change) }).catch(() => null));
}

async function read(response: Response | null): Promise<ServerState | null> {
  if (!response?.ok) return null;
  const body = (await response.json().catch(() => null)) as Partial<ServerState> | null;
  return typeof body?.seeder === "boolean" && typeof body.origin === "boolean" ? { seeder: body.seeder, origin: body.origin } : null;
}
