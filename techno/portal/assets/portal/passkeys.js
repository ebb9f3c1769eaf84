// Forms that make or use a passkey. The browser does the work; what it answers is put into the
// form's field and sent. Browsers that cannot do it do not see these forms' buttons work.

const able = () => Boolean(window.PublicKeyCredential?.parseCreationOptionsFromJSON);

async function make(form, { creation_options: { publicKey } }) {
  const passwordless = form.elements.passwordless?.checked ?? false;
  const selection = {
    ...publicKey.authenticatorSelection,
    residentKey: passwordless ? "required" : "discouraged",
    requireResidentKey: passwordless,
  };
  if (passwordless) selection.userVerification = "required";
  const options = { ...publicKey, authenticatorSelection: selection };
  return navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  });
}

async function use({ request_options: { publicKey } }) {
  return navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
  });
}

async function optionsOf(form) {
  const given = document.getElementById(form.dataset.passkeyOptions ?? "");
  if (given) return JSON.parse(given.textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error("the server gave no options");
  return answer.json();
}

async function onClick(form) {
  const failed = form.querySelector("[data-passkey-failed]");
  failed.hidden = true;
  try {
    const options = await optionsOf(form);
    const credential = form.dataset.passkey === "create" ? await make(form, options) : await use(options);
    form.elements.credential.value = JSON.stringify(credential);
  } catch {
    failed.hidden = false; // the person said no, or the browser cannot
    return;
  }
  form.submit();
}

export function enablePasskeys(root) {
  for (const form of root.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("[data-passkey-button]");
    button.disabled = !able();
    if (!able()) continue;
    form.hidden = false;
    button.addEventListener("click", () => onClick(form));
  }
}
