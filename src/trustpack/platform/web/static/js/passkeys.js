/** A form with a passkey in it is answered by the authenticator before it is sent. */
export function watchPasskeys() {
  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector("[data-passkey]");
    if (!field || field.value) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const fault = event.target.querySelector("[data-passkey-fault]");
    answer(event.target, field).catch(({ message }) => {
      fault.textContent = `No passkey was used: ${message}`;
    });
  }, true);
}

async function answer(form, { dataset }) {
  const begun = await fetch(dataset.begin, { method: "POST", headers: { "x-csrf-token": form.form_token.value } });
  if (begun.status === 401) return location.assign(`/switchboard/confirm?next=${location.pathname}`);
  if (!begun.ok) throw new Error(`the server answered ${begun.status}.`);
  const ask = await begun.json();
  const key = PublicKeyCredential;
  const given = dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: key.parseCreationOptionsFromJSON(ask) })
    : await navigator.credentials.get({ publicKey: key.parseRequestOptionsFromJSON(ask) });
  form.credential.value = JSON.stringify(given);
  form.requestSubmit();
}
