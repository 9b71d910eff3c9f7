// The tab of people: who may sign in, and what they may do.

import { element } from "../page/dom.ts";
import { type Role, type User, api } from "./api.ts";
import { type Field, ask } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { groupsOf, matches } from "./format.ts";
import { type Row, Rows } from "./rows.ts";

const ROLES = ["user", "auditor", "administrator"] as const;
const roleOf = (text: string | undefined): Role => ROLES.find((role) => role === text) ?? "user";

/** What differs: what is left as it was is not asked for. */
export function changeOf(user: User, wanted: { role: Role; groups: string[]; enabled: boolean }): { role?: Role; groups?: string[]; enabled?: boolean } {
  const groups = [...user.groups].sort().join("\n") !== [...wanted.groups].sort().join("\n");
  return {
    ...(wanted.role === user.role ? {} : { role: wanted.role }),
    ...(groups ? { groups: wanted.groups } : {}),
    ...(wanted.enabled === user.enabled ? {} : { enabled: wanted.enabled }),
  };
}

export class PeopleTab {
  private readonly rows: Rows<User>;
  private readonly filter = element("filter-people", HTMLInputElement);
  private readonly more = element("more-people", HTMLButtonElement);
  private users: User[] | null = null;
  private next: string | null = null;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    this.rows = new Rows(element("people-rows", HTMLElement), (user) => user.name, (user) => this.rowOf(user));
    this.filter.addEventListener("input", () => this.render());
    this.more.addEventListener("click", () => void this.loadMore().catch(this.failed));
    element("add-user", HTMLButtonElement).addEventListener("click", () => this.askNew());
  }

  async load(): Promise<void> {
    const { users, next } = await api.users("");
    [this.users, this.next] = [users, next];
    this.render();
  }

  private async loadMore(): Promise<void> {
    const { users, next } = await api.users(this.next ?? "");
    [this.users, this.next] = [[...(this.users ?? []), ...users], next];
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.users = null;
    this.rows.forget();
  }

  private render(): void {
    const all = words();
    element("add-user", HTMLButtonElement).hidden = !this.mayChange();
    const texts = (user: User): string[] => [user.name, user.title, all[user.role], ...user.groups, user.enabled ? "" : all.disabled];
    const shown = (this.users ?? []).filter((user) => matches(this.filter.value, texts(user)));
    this.rows.show(shown);
    element("people-table", HTMLTableElement).hidden = shown.length === 0;
    write(element("people-note", HTMLParagraphElement), this.users === null ? all.loading : shown.length === 0 ? all.noMatch : "");
    this.more.hidden = this.next === null;
  }

  /** A user as the gateway has them now. */
  private take(user: User): void {
    const others = (this.users ?? []).filter((other) => other.name !== user.name);
    this.users = [...others, user].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.render();
  }

  private rowOf(first: User): Row<User> {
    const all = words();
    const title = make("span", { className: "strong" });
    const name = make("span", { className: "soft" });
    const role = make("span", { className: "role" });
    const groups = make("td", { className: "chips" });
    const by = make("td");
    const acts = make("td", { className: "acts" });
    let user = first;
    const removeCode = button(all.removeCode, "small", () => this.askRemoveCode(user));
    if (this.mayChange()) {
      acts.append(
        button(all.change, "small", () => this.askChange(user)),
        button(all.newPassword, "small", () => this.askPassword(user)),
        removeCode,
        button(all.everywhere, "small grave-text", () => void this.askEverywhere(user).catch(this.failed)),
      );
    }
    const row = make("tr", {}, make("th", { scope: "row" }, title, name), make("td", {}, role), groups, by, acts);
    const update = (newer: User): void => {
      user = newer;
      write(title, user.title);
      write(name, user.name === user.title ? "" : user.name);
      write(role, all[user.role]);
      role.dataset["role"] = user.role;
      if (groups.dataset["all"] !== user.groups.join("\n")) {
        groups.dataset["all"] = user.groups.join("\n");
        groups.replaceChildren(...user.groups.map((group) => make("span", { className: "chip", textContent: group })));
      }
      write(by, !user.enabled ? all.disabled : user.has_password ? (user.has_totp ? all.byCode : all.byPassword) : all.byOther);
      row.classList.toggle("disabled", !user.enabled);
      removeCode.hidden = !user.has_totp;
    };
    return { element: row, update };
  }

  private roleField(role: Role): Field {
    const choices = ROLES.map((each) => [each, words()[each]] as const);
    return { name: "role", label: words().role, kind: "choice", value: role, choices };
  }

  private askNew(): void {
    const all = words();
    ask({
      title: all.addUser,
      fields: [
        { name: "name", label: all.name, kind: "text", most: 64, needed: true },
        { name: "title", label: all.fullName, kind: "text" },
        this.roleField("user"),
        { name: "groups", label: all.groupsLabel, kind: "text", most: 1000 },
        { name: "password", label: all.optionalPassword, kind: "password", most: 256 },
      ],
      act: all.addUser,
      run: async ({ name = "", title = "", role, groups = "", password = "" }) => {
        const user = { name, title, role: roleOf(role), groups: groupsOf(groups) };
        this.take(await api.addUser(password === "" ? user : { ...user, password }));
        this.say(all.added(name));
      },
    });
  }

  private askChange(user: User): void {
    const all = words();
    ask({
      title: all.changeOf(user.title),
      fields: [
        this.roleField(user.role),
        { name: "groups", label: all.groupsLabel, kind: "text", most: 1000, value: user.groups.join(", ") },
        { name: "enabled", label: all.mayUse, kind: "tick", value: String(user.enabled), hint: all.mayUseDetail },
      ],
      act: all.save,
      run: async ({ role, groups = "", enabled }) => {
        const wanted = { role: roleOf(role), groups: groupsOf(groups), enabled: enabled === "true" };
        this.take(await api.changeUser(user.name, changeOf(user, wanted)));
        this.say(all.changed(user.title));
      },
    });
  }

  private askPassword(user: User): void {
    const all = words();
    ask({
      title: all.passwordOf(user.title),
      detail: all.passwordDetail,
      fields: [{ name: "password", label: all.newPassword, kind: "password", most: 256, needed: true }],
      act: all.save,
      grave: true,
      run: async ({ password = "" }) => {
        this.say(all.signedOut((await api.setPassword(user.name, password)).sign_ins));
        this.take({ ...user, has_password: true });
      },
    });
  }

  private askRemoveCode(user: User): void {
    const all = words();
    ask({
      title: all.removeCodeOf(user.title),
      detail: all.removeCodeDetail,
      act: all.removeCode,
      grave: true,
      run: async () => {
        await api.removeCode(user.name);
        this.take({ ...user, has_totp: false });
        this.say(all.changed(user.title));
      },
    });
  }

  private async askEverywhere(user: User): Promise<void> {
    const all = words();
    const count = await api.signIns(user.name);
    ask({
      title: all.everywhereOf(user.title),
      detail: all.everywhereDetail(count),
      act: all.everywhere,
      grave: true,
      run: async () => this.say(all.signedOut((await api.endSignIns(user.name)).sign_ins)),
    });
  }
}
