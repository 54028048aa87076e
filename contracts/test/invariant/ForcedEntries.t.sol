// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EscapeFixture} from "../support/EscapeFixture.sol";

/// @notice An honest venue under load: whenever time passes it posts a batch that consumes what is old enough to be final on
/// the L1. Others queue what they like, prove frauds against what is posted, and try to freeze it.
contract HonestVenue is EscapeFixture {
    /// @dev Entries are consumed only after this; the venue looks at the queue at least every STEP_MAX.
    uint256 private constant L1_FINALITY = 15 minutes;
    uint256 private constant STEP_MAX = 20 hours;

    uint64[] public forcedIndices;
    mapping(uint64 index => uint256) private _queuedAt;
    uint256 public drops;
    uint256 public flooded;
    uint256 public consumed;
    uint256 public attempts;

    constructor() {
        deployVenue();
        openAccount(ALICE);
        note();
    }

    /// @dev Remembers when entries came.
    function note() private {
        for (uint64 i = custody.queueLength(); i > 0 && _queuedAt[i - 1] == 0; --i) {
            _queuedAt[i - 1] = block.timestamp;
        }
    }

    function queueForced(uint256 random) external {
        uint256 count = 1 + random % 12;
        for (uint256 i = 0; i < count; ++i) {
            uint256 kind = (random >> (8 + i)) % 4;
            vm.prank(ALICE);
            if (kind == 0) forcedIndices.push(custody.forceWithdrawal(2, 1, ALICE));
            else if (kind == 1) forcedIndices.push(custody.forceClose(2, 1, 1, 1, 1));
            else if (kind == 2) forcedIndices.push(custody.forceLiquidation(2));
            else custody.cancelAll(2, 1);
        }
        flooded += count;
        note();
    }

    function passTime(uint256 random) external {
        vm.warp(block.timestamp + 1 + random % STEP_MAX);
        uint64 cursor = chain.batch(chain.lastNumber()).inboundCursor;
        uint64 next = cursor;
        while (next < custody.queueLength() && _queuedAt[next] + L1_FINALITY <= block.timestamp) ++next;
        BatchHeader memory header;
        bytes memory data;
        (header, data) = nextBatch(1, keccak256(abi.encode(block.timestamp)));
        header.inboundCursor = next;
        header.inboundHash = custody.queueHash(next);
        post(header, data);
        consumed += next - cursor;
    }

    function drop(uint256 random) external {
        uint64 lastFinal = chain.lastFinal();
        uint64 count = chain.lastNumber() - lastFinal;
        if (count == 0) return;
        vm.prank(DISPUTE);
        chain.dropFrom(lastFinal + 1 + uint64(random % count), ALICE);
        ++drops;
    }

    function finalise() external {
        if (chain.lastNumber() == chain.lastFinal()) return;
        try chain.finalise(chain.lastFinal() + 1) {} catch {}
    }

    /// @notice Nobody succeeds.
    function freeze(uint256 random) external {
        if (forcedIndices.length == 0) return;
        uint64 index = forcedIndices[random % forcedIndices.length];
        ++attempts;
        try escape.freezeForMissedEntry(index) {
            vm.assertTrue(false, "an honest venue was frozen");
        } catch {}
    }

    function forcedCount() external view returns (uint256) {
        return forcedIndices.length;
    }

    function venue() external view returns (Escape) {
        return escape;
    }
}

contract ForcedEntriesInvariantTest is EscapeFixture {
    HonestVenue private _venue;

    function setUp() external {
        _venue = new HonestVenue();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_venue);
    }

    /// @notice No entry, however old, freezes a venue that consumes what it must.
    function invariant_honestVenueIsNeverFrozen() public {
        Escape target = _venue.venue();
        vm.assertFalse(target.isFrozen());
        uint256 count = _venue.forcedCount();
        // The oldest, the newest and one between; the handler tries all others.
        for (uint256 i = 0; i < 3 && count > 0; ++i) {
            try target.freezeForMissedEntry(_venue.forcedIndices(i * (count - 1) / 2)) {
                vm.assertTrue(false, "an honest venue was frozen");
            } catch {}
        }
    }

    function test_handlerReachesEverything() external {
        for (uint256 i = 0; i < 120; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            if (i % 3 == 0) _venue.queueForced(random);
            _venue.passTime(random);
            if (i % 7 == 0) _venue.drop(random >> 8);
            if (i % 20 == 0) _venue.finalise();
            _venue.freeze(random >> 16);
            invariant_honestVenueIsNeverFrozen();
        }
        vm.assertTrue(_venue.drops() > 10, "drops");
        vm.assertTrue(_venue.consumed() > 100, "consumed");
        vm.assertTrue(_venue.attempts() > 100, "attempts");
    }
}
