#include "support/simulated_ground.hpp"

#include "simulation/backend.hpp"
#include "simulation/host.hpp"
#include "simulation/network.hpp"

namespace support {
namespace {

class simulated_ground final : public ground {
public:
    explicit simulated_ground(const sockeye::backend_features& features)
        : entry_(sockeye::simulated::simulated_entry()) {
        entry_.features = features;
        machine_.descriptors_max = 20000;
        machine_.socket_buffer = 212992;
    }

    const sockeye::backend_entry& entry() const noexcept override { return entry_; }
    bool is_simulated() const noexcept override { return true; }
    sockeye::kernel& system() noexcept override { return machine_; }
    std::unique_ptr<sockeye::backend> make_backend() override {
        return std::make_unique<sockeye::simulated::backend>(machine_, entry().features);
    }
    std::size_t descriptors() override { return machine_.descriptors(); }
    std::size_t room() override { return machine_.descriptors_max - machine_.descriptors() - 32; }
    std::string path(std::string_view name) override { return "/simulated/" + std::string(name); }
    void raise(int signal) override { static_cast<void>(machine_.raise(signal)); }

private:
    sockeye::backend_entry entry_;
    sockeye::simulated::network world_{1};
    sockeye::simulated::host& machine_ = world_.add_host("machine");
};

} // namespace

std::unique_ptr<ground> make_simulated_ground(const sockeye::backend_features& features) {
    return std::make_unique<simulated_ground>(features);
}

} // namespace support
