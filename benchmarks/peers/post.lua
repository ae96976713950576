-- wrk's script: posts photos in turn, and prints one line of JSON at the end.
-- Arguments: requests a second, or 0 for as many as are answered; the files that hold their bodies.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s, us; } timeval; int gettimeofday(timeval *now, void *zone);")
local requests, turn = {}, 0
local clock = ffi.new("timeval")

local function now()  -- milliseconds
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.s) * 1000 + tonumber(clock.us) / 1000
end

-- Each connection that is free takes the next moment at which a request is due.
local function pace(rate)
  local due = now()
  function delay()
    due = due + 1000 / rate
    return math.max(0, due - now())
  end
end

function init(arguments)
  local rate = tonumber(table.remove(arguments, 1))
  if rate > 0 then pace(rate) end
  for _, file in ipairs(arguments) do
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
