// What every page of the portal does besides being HTML. Each module looks for its own marks in
// the page and does nothing where there are none; without any of them the pages still work.
import { showLocalTimes } from "./local_time.js";
import { enableCopying } from "./copy.js";
import { enableThemes } from "./theme.js";
import { enableSelectAll } from "./select_all.js";
import { enableSearchKey } from "./search_key.js";
import { tidyAddresses } from "./addresses.js";
import { watchRun } from "./live_run.js";
import { enablePasskeys } from "./passkeys.js";

showLocalTimes(document);
enableCopying(document);
enableThemes(document);
enableSelectAll(document);
enableSearchKey(document);
tidyAddresses(document);
enablePasskeys(document);
watchRun(document);
