// A client that openapi-typescript makes of the document, used as outside tools use it. `script/api-check` only checks its types.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

const somo = createClient<paths>({ baseUrl: "https://crm.example.com", headers: { Authorization: "Bearer token" } });

export async function story(): Promise<string[]> {
    const made = await somo.POST("/api/contacts", {
        body: { first_name: "Ana", emails: [{ email: "ana@example.com", kind: "work" }], tags: ["vip"], custom: { budget: "1200.50" } },
    });
    if (made.error) {
        // Every problem says what is wrong with which field.
        return (made.error.errors ?? []).map((fault) => `${fault.pointer}: ${fault.code}`);
    }
    const contact: components["schemas"]["Contact"] = made.data;

    const changed = await somo.PATCH("/api/contacts/{id}", {
        params: { path: { id: contact.id }, header: { "If-Match": `"${contact.version}"` } },
        body: { city: "Recife", job_title: null },
    });
    const page = await somo.GET("/api/deals", {
        params: { query: { filter: JSON.stringify({ field: "contacts.first_name", op: "eq", value: "Ana" }), sort: "-amount", limit: 50 } },
    });
    const names = (page.data?.data ?? []).map((deal) => deal.name ?? "");

    // @ts-expect-error A field that nobody has is no field of the client either.
    await somo.POST("/api/contacts", { body: { first_name: "Ana", shoe_size: 43 } });

    return [changed.data?.city ?? "", page.data?.page.next_cursor ?? "", ...names];
}

// @ts-expect-error Nor is a path that is not there.
export type Nothing = paths["/api/nothing"];
