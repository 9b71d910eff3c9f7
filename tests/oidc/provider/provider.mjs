// An OpenID provider for the tests: oidc-provider with a log-in that needs no hands. What it is to do next is told by
// POST /control; what its token endpoint gives may be spoilt, with the provider's own key.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import Provider from "oidc-provider";

// With a file of certificate and key it speaks TLS.
const [port, gateway, pem] = process.argv.slice(2);
const issuer = pem === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;

let keyNumber = 0;
/** What the next log-in is, and what is wrong with its ID token. */
let told = {};
let current;

async function start() {
  const kid = `key-${++keyNumber}`;
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), kid, use: "sig", alg: "RS256" };
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "chevet",
      client_secret: "a secret of the test's own: +&%/",
      redirect_uris: [`${gateway}/api/oidc/test/callback`],
      post_logout_redirect_uris: [`${gateway}/`],
      backchannel_logout_uri: `${gateway}/api/oidc/test/logout`,
      backchannel_logout_session_required: true,
      grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_basic",
    }],
    jwks: { keys: [jwk] },
    cookies: { keys: ["a key of the test's own"] },
    pkce: { required: () => true },
    acrValues: ["eidas1", "eidas2"],
    claims: { openid: ["sub", "acr", "sid"], profile: ["preferred_username", "name", "groups", "email", "email_verified"] },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form) => (ctx.body = form),
        userCodeConfirmSource: (ctx, form) => (ctx.body = form),
        successSource: (ctx) => (ctx.body = "done"),
      },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { logoutSource: (ctx, form) => (ctx.body = form), postLogoutSuccessSource: (ctx) => (ctx.body = "left") },
    },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...told.claims }) }),
    interactions: { url: (_, interaction) => `/log-in/${interaction.uid}` },
    // The gateway of the tests is on this machine, where the provider's own dispatcher does not go.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path === "/me" && told.userinfo_of) ctx.body = { ...ctx.body, sub: told.userinfo_of };
    if (ctx.path !== "/token" || !ctx.body?.id_token || !told.spoil) return;
    ctx.body.id_token = await spoilt(ctx.body.id_token, told.spoil, { kid, privateKey, publicKey });
  });
  current = { provider, callback: provider.callback() };
}

const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

async function spoilt(token, how, { kid, privateKey, publicKey }) {
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const now = Math.floor(Date.now() / 1000);
  const signed = (changed, key = privateKey) =>
    new SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg: "RS256", kid }).sign(key);
  switch (how) {
    case "none": return `${base64url({ alg: "none" })}.${base64url(claims)}.`;
    case "hs256": {
      const text = `${base64url({ alg: "HS256", kid })}.${base64url(claims)}`;
      return `${text}.${createHmac("sha256", await exportSPKI(publicKey)).update(text).digest("base64url")}`;
    }
    case "other-key": return signed({}, (await generateKeyPair("RS256")).privateKey);
    case "changed": return [token.split(".")[0], base64url({ ...claims, sub: "root" }), token.split(".")[2]].join(".");
    case "expired": return signed({ iat: now - 600, exp: now - 61 });
    case "early": return signed({ iat: now + 120, exp: now + 600 });
    case "slow-clock": return signed({ iat: now - 300, exp: now - 30 });
    case "fast-clock": return signed({ iat: now + 30, exp: now + 600 });
    case "audience": return signed({ aud: "another-client" });
    case "two-audiences": return signed({ aud: ["chevet", "another-client"] });
    case "issuer": return signed({ iss: "https://evil.example" });
    case "nonce": return signed({ nonce: "of another sign-in" });
    case "no-nonce": return signed({ nonce: undefined });
    case "no-subject": return signed({ sub: "" });
    default: throw new Error(`cannot spoil a token by ${how}`);
  }
}

async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return JSON.parse(text || "{}");
}

async function logIn(request, response) {
  const { provider } = current;
  const details = await provider.interactionDetails(request, response);
  if (told.deny) {
    return provider.interactionFinished(request, response, { error: "access_denied", error_description: "cancelled" });
  }
  const accountId = details.session?.accountId ?? told.sub;
  if (details.prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: told.sub, acr: told.acr } });
  }
  const grant = new provider.Grant({ accountId, clientId: details.params.client_id });
  grant.addOIDCScope("openid profile");
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

await start();
async function serve(request, response) {
  try {
    if (request.url === "/control") {
      told = await body(request);
      if (told.rotate) await start();
      return response.end("{}");
    }
    if (request.url.startsWith("/log-in/")) return await logIn(request, response);
    await current.callback(request, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end(String(error));
  }
}

const tls = pem === undefined ? null : readFileSync(pem);
const server = tls === null ? createServer(serve) : createSecureServer({ cert: tls, key: tls }, serve);
server.listen(Number(port), "127.0.0.1", () => console.log("listening"));
