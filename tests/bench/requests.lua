-- For wrk: calls the paths of a file in their order, and says in JSON what came out.
-- Arguments: the file, and "once" when no path may be called twice (signatures) or "again" when they go round (reads).

local requests, at, is_once = {}, 0, false

function init(args)
  is_once = args[2] == "once"
  for path in io.lines(args[1]) do
    requests[#requests + 1] = is_once and wrk.format("POST", path, nil, "") or wrk.format("GET", path)
  end
end

function request()
  at = at + 1
  if at > #requests then
    -- A path called twice is refused by the server, counted as an error, and fails the measurement.
    at = is_once and #requests or 1
  end
  return requests[at]
end

function done(summary, latency)
  local quantiles = {}
  for percent = 0, 99 do
    quantiles[#quantiles + 1] = latency:percentile(percent)
  end
  quantiles[#quantiles + 1] = latency.max
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"quantiles_us":[%s]}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    table.concat(quantiles, ",")))
end
