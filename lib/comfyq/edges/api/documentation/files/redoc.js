// Shows openapi.json by Redoc, which would tell its makers of each visit.
import { init } from "./redoc.standalone.js"

init("openapi.json", { disableTelemetry: true }, document.getElementById("page"))
