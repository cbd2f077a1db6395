// Which cluster a command speaks to, and that a token goes nowhere else; the file of profiles.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseTarget } from "../../../cli/connection.ts";
import {
  checkedToken,
  checkedUrl,
  type Profiles,
  profilesPath,
  readProfiles,
  writeProfiles,
} from "../../../cli/profiles.ts";

const PROFILES: Profiles = {
  version: 1,
  current: "live",
  profiles: {
    live: { url: "https://live.example", token: "token-of-live", namespace: "shop" },
    test: { url: "https://test.example", token: "token-of-test" },
  },
};
const NONE: Profiles = { version: 1, profiles: {} };

describe("the cluster that a command speaks to", () => {
  test("is that of the profile in use", () => {
    expect(chooseTarget({}, {}, PROFILES)).toMatchObject({
      url: "https://live.example",
      token: "token-of-live",
      namespace: "shop",
    });
  });

  test("is that of the environment before that", () => {
    const environment = { HALO_URL: "https://other.example/", HALO_TOKEN: "token-of-other" };
    expect(chooseTarget({}, environment, PROFILES)).toMatchObject({
      url: "https://other.example",
      token: "token-of-other",
      namespace: undefined,
    });
  });

  test("is that of --profile before everything", () => {
    const environment = { HALO_URL: "https://other.example", HALO_TOKEN: "token-of-other" };
    expect(chooseTarget({ profile: "test" }, environment, PROFILES)).toMatchObject({
      url: "https://test.example",
      token: "token-of-test",
    });
  });

  test("never gets the token of another one: a URL without a token is refused unless a profile has just that URL", () => {
    expect(() => chooseTarget({}, { HALO_URL: "https://evil.example" }, PROFILES)).toThrow(/set HALO_TOKEN/);
    expect(() => chooseTarget({ url: "https://evil.example" }, {}, PROFILES)).toThrow(/set HALO_TOKEN/);
    expect(() => chooseTarget({ url: "https://live.example:444" }, {}, PROFILES)).toThrow(/set HALO_TOKEN/);
    expect(chooseTarget({ url: "https://test.example/" }, {}, PROFILES).token).toBe("token-of-test");
  });

  test("is asked for where nothing says it", () => {
    expect(() => chooseTarget({}, {}, NONE)).toThrow(/no cluster is chosen/);
    expect(() => chooseTarget({ profile: "toString" }, {}, PROFILES)).toThrow(/there is no profile/);
    expect(() => chooseTarget({ profile: "live", url: "https://a.example" }, {}, PROFILES)).toThrow(/one of them/);
  });
});

describe("what is not acceptable", () => {
  test("as a URL", () => {
    for (const url of ["", "live.example", "ftp://a", "https://u:p@a.example", "https://a.example?x", "https://a#b"]) {
      expect(() => checkedUrl(url), url).toThrow();
    }
    expect(checkedUrl("http://127.0.0.1:8787//")).toBe("http://127.0.0.1:8787");
  });

  test("as a token, is not repeated in the message", () => {
    for (const token of ["", " ", "se cret", "secret\u001b", "secrét"]) {
      expect(() => checkedToken(token)).toThrow(/^(?!.*secr).*$/);
    }
    expect(checkedToken(" secret\n")).toBe("secret");
  });
});

describe("the file of profiles", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
    file = profilesPath({ XDG_CONFIG_HOME: directory });
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test("is in the directory that the XDG specification says", () => {
    expect(profilesPath({ XDG_CONFIG_HOME: "/config" })).toBe("/config/halo/profiles.json");
    expect(profilesPath({ XDG_CONFIG_HOME: "relative" })).toMatch(/\/\.config\/halo\/profiles\.json$/);
  });

  test("comes back as it was written, for its owner only, with nothing beside it", async () => {
    await writeProfiles(file, PROFILES);
    await writeProfiles(file, PROFILES);
    expect(await readProfiles(file)).toEqual(PROFILES);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(path.dirname(file))).toEqual(["profiles.json"]);
  });

  test("is not used while others may read it", async () => {
    await writeProfiles(file, PROFILES);
    await chmod(file, 0o644);
    await expect(readProfiles(file)).rejects.toThrow(/others may read it: chmod 600/);
  });

  test("is refused where it is something else, and left as it is", async () => {
    await writeProfiles(file, PROFILES);
    await writeFile(file, "{");
    await expect(readProfiles(file)).rejects.toThrow(/not a file of profiles/);
    expect(await readFile(file, "utf8")).toBe("{");
  });

  test("need not be there", async () => {
    expect(await readProfiles(file)).toEqual(NONE);
  });
});
