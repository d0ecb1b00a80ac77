#include "lookups.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <random>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>

namespace sockeye::micro {
namespace {

/// Many systems let a process have few descriptors until it asks for more.
void allow_descriptors(std::size_t wanted) {
    rlimit allowed = {};
    if (::getrlimit(RLIMIT_NOFILE, &allowed) == 0 && allowed.rlim_cur < wanted) {
        allowed.rlim_cur = std::min<rlim_t>(wanted, allowed.rlim_max);
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &allowed));
    }
}

struct silent {
    void on_data(stream&, bytes) {}
};

class finding final : public lookups {
public:
    /// Two connections; false where the system refuses.
    bool add_pair() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
            return false;
        }
        std::array owned = {unique_fd(ends[0]), unique_fd(ends[1])};
        for (auto& end : owned) {
            auto made = adopt(loop_, std::move(end));
            if (!made) {
                return false;
            }
            made->attach<silent>();
            in_order_.push_back(made->ref());
            streams_.push_back(std::move(*made));
        }
        return true;
    }

    double find_in_random_order() override {
        auto shuffled = in_order_;
        std::shuffle(shuffled.begin(), shuffled.end(), random_);
        return find(shuffled);
    }

    double find_in_order() override { return find(in_order_); }

private:
    double find(const std::vector<stream_ref>& wanted) {
        constexpr std::size_t passes = 100;
        std::size_t found = 0;
        const auto began = std::clock();
        for (std::size_t pass = 0; pass < passes; ++pass) {
            for (const auto& ref : wanted) {
                found += loop_.find(ref) != nullptr ? 1 : 0;
            }
        }
        const auto taken = static_cast<double>(std::clock() - began) * (1e9 / CLOCKS_PER_SEC);
        if (found != passes * wanted.size()) {
            std::abort(); // all of them live
        }
        return taken / static_cast<double>(found);
    }

    loop loop_;
    std::vector<stream> streams_;
    std::vector<stream_ref> in_order_;
    std::mt19937_64 random_{1};
};

} // namespace

std::unique_ptr<lookups> lookups::open(std::size_t connections) {
    allow_descriptors(connections + 100);
    auto made = std::make_unique<finding>();
    for (std::size_t pair = 0; pair < connections / 2; ++pair) {
        if (!made->add_pair()) {
            return nullptr;
        }
    }
    return made;
}

} // namespace sockeye::micro
