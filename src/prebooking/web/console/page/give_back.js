// A booked place is given back after a question; after a second one where the gym would keep the credit.

import { api } from "./api.js";
import { $, complain } from "./dom.js";
import { title } from "./card.js";

const QUESTION = "The gym gives your place to somebody else. You can prebook the class again, if it has a place then.";
const LATE = "It is late: the gym keeps the credit of this class. Give the place back all the same?";

/** `submit` runs the work of a dialog's form and closes it; `told` shows the row that came of it. */
export function askGiveBack(row, { submit, told }) {
  let late = false;
  $("give-back-what").textContent = title(row);
  $("give-back-question").textContent = QUESTION;
  complain($("give-back-problem"), null);
  $("give-back-form").onsubmit = (event) => {
    event.preventDefault();
    submit($("give-back"), $("give-back-problem"), async () => {
      try {
        told(await api.giveBack(row.id, late));
      } catch (problem) {
        if (problem.code !== "late-cancellation") throw problem;
        late = true;
        $("give-back-question").textContent = LATE;
        return false; // it stays open
      }
    });
  };
  $("give-back").showModal();
}
