// What a front end writes against the generated types; compiled, never run.
import type { components, paths } from "./api";

type Order = components["schemas"]["OrderView"];
type Listed = paths["/api/proposals"]["get"]["responses"][200]["content"]["application/json"];
type Sort = NonNullable<NonNullable<paths["/api/proposals"]["get"]["parameters"]["query"]>["sort"]>;
type Sign = paths["/api/proposals/{proposal_id}/sign"]["post"];

export const status: Order["status"] = "In Progress";
export const sort: Sort = "created_at:desc";
export const key: NonNullable<Sign["parameters"]["header"]> = { "Idempotency-Key": "ada-1", Prefer: "wait=0" };
export const names = (page: Listed): string[] => page.data.map((proposal) => `${proposal.client_name} ${proposal.total}`);
export const project: components["schemas"]["ProjectBody"] = { engagement_id: "…", name: "Website" };

// @ts-expect-error there is no such status
export const lost: Order["status"] = "Lost";
// @ts-expect-error proposals have no such order
export const byNotes: Sort = "notes:asc";
// @ts-expect-error a project needs a name
export const nameless: components["schemas"]["ProjectBody"] = { engagement_id: "…" };
