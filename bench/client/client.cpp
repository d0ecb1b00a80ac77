#include "bench/client/client.hpp"

#include "bench/client/bulk_client.hpp"
#include "bench/client/churn_client.hpp"
#include "bench/client/datagram_client.hpp"
#include "bench/client/stream_client.hpp"

namespace sockeye::bench {

std::unique_ptr<client> make_client(const client_setup& setup) {
    switch (setup.what.how) {
    case mode::upload:
    case mode::download:
        return std::make_unique<bulk_client>(setup);
    case mode::churn:
        return std::make_unique<churn_client>(setup);
    case mode::echo:
        break;
    }
    if (is_stream(setup.what.carrier)) {
        return std::make_unique<stream_client>(setup);
    }
    return std::make_unique<datagram_client>(setup);
}

} // namespace sockeye::bench
