-- wrk's script: posts photos in turn, and prints one line of JSON at the end.
-- Arguments: the files that hold the requests' bodies.
local requests, turn = {}, 0

function init(files)
  for _, file in ipairs(files) do
    local handle = assert(io.open(file, "rb"))
    requests[#requests + 1] = wrk.format("POST", nil, nil, handle:read("*a"))
    handle:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'figures {"seconds": %.6f, "requests": %d, "status": %d, "socket": %d, "timeout": %d, '
      .. '"p50": %d, "p99": %d}',
    summary.duration / 1e6, summary.requests, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
