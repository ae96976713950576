// What went wrong, each with what can be done about it; nothing that is said here blocks the page.

const list = document.getElementById("messages");
const template = document.getElementById("message");

/** Say something; `again` is offered as a button where there is something to try. */
export function complain(text, again = null) {
  const [message] = template.content.cloneNode(true).children;
  message.querySelector("p").textContent = text;
  const button = message.querySelector(".again");
  button.hidden = !again;
  button.addEventListener("click", () => {
    message.remove();
    again();
  });
  message.querySelector(".dismiss").addEventListener("click", () => message.remove());
  list.append(message);
  return message;
}
