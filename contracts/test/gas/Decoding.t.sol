// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Limits} from "../../src/lib/Limits.sol";
import {RejectionCodes} from "../../src/lib/RejectionCodes.sol";
import {ExpiryRule} from "../../src/rules/ExpiryRule.sol";
import {ICycleRule} from "../../src/rules/ICycleRule.sol";
import {LiquidationRule} from "../../src/rules/LiquidationRule.sol";
import {TradeRule} from "../../src/rules/TradeRule.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice What the bytes alone can make a rule do. A cycle that no transaction can decode is one that nobody can convict: its
/// payload is free to choose, up to all that a batch holds.
contract DecodingGasTest is VmTest {
    /// @dev Of the 12M that a challenge may take: the rest is for the call's bytes and the batch's opening. A cycle that weighs
    /// less than the limit, whose witness is large, has few entries.
    uint256 private constant DECODING_GAS_MAX = 8_000_000;
    uint256 private constant HEAD = 10;
    uint256 private constant ENTRY_TAIL = 51;
    /// @dev Instruments of one residue: with a table that is addressed by the low bits they are one chain.
    uint256 private constant STRIDE = 256;
    uint256 private constant DISTINCT = 104;

    /// @dev `accounts` with `entries` orders of four legs each.
    function _trades(uint256 accounts, uint256 entries) private pure returns (bytes memory list) {
        list = abi.encodePacked(uint8(accounts));
        for (uint256 account = 0; account < accounts; ++account) {
            bytes memory one = abi.encodePacked(_little(account, 3), uint8(0), uint8(entries));
            for (uint256 entry = 0; entry < entries; ++entry) {
                one = bytes.concat(one, _entry(4 * (account * entries + entry), entry));
            }
            list = bytes.concat(list, one);
        }
    }

    function _entry(uint256 first, uint256 nonce) private pure returns (bytes memory) {
        bytes memory legs;
        for (uint256 leg = 0; leg < 4; ++leg) {
            // Downwards after the first round: each look-up goes to the end of the chain.
            uint256 place = first + leg < DISTINCT ? first + leg : DISTINCT - 1;
            legs = bytes.concat(legs, _little(STRIDE * place, 3), _little(1, 2));
        }
        bytes memory tail = new bytes(ENTRY_TAIL);
        tail[13] = bytes1(uint8(nonce));
        return bytes.concat(hex"04", legs, tail);
    }

    function _little(uint256 value, uint256 size) private pure returns (bytes memory packed) {
        packed = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            packed[i] = bytes1(uint8(value >> (8 * i)));
        }
    }

    function _head(uint8 kind) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), kind, uint64(0));
    }

    function _check(ICycleRule rule, bytes memory payload, string memory what) private view {
        bytes memory call_ = abi.encodeCall(rule.execute, (address(0), 0, payload, ""));
        uint256 before = gasleft();
        (bool isDecided,) = address(rule).staticcall(call_);
        uint256 gas = before - gasleft();
        // One that decodes is looked for in a witness, and there is none.
        vm.assertTrue(!isDecided);
        vm.assertLt(gas, DECODING_GAS_MAX, what);
    }

    function testGas_tradeOfCollidingInstruments() external {
        ICycleRule rule = new TradeRule();
        bytes memory payload = bytes.concat(_head(3), _trades(4, 225));
        vm.assertTrue(payload.length < Limits.CYCLE_BYTES_MAX);
        _check(rule, payload, "a trade of 64 KiB");
        payload = bytes.concat(payload, new bytes(Limits.BATCH_BYTES_MAX - payload.length));
        (uint256 code,) = rule.execute(address(0), 0, payload, "");
        vm.assertEq(code, RejectionCodes.LIMIT_EXCEEDED, "a trade as long as a batch");
    }

    function testGas_liquidationOfCollidingInstruments() external {
        ICycleRule rule = new LiquidationRule();
        bytes memory legs;
        for (uint256 leg = 0; leg < DISTINCT; ++leg) {
            legs = bytes.concat(legs, _little(STRIDE * leg, 3), new bytes(18));
        }
        bytes memory account = abi.encodePacked(_little(9, 3), uint8(0), uint8(DISTINCT));
        bytes memory payload = bytes.concat(_head(4), account, legs, _trades(4, 217));
        vm.assertTrue(payload.length < Limits.CYCLE_BYTES_MAX);
        _check(rule, payload, "a liquidation");
    }

    function testGas_expiryOfCollidingInstruments() external {
        ICycleRule rule = new ExpiryRule();
        bytes memory instruments = abi.encodePacked(uint8(DISTINCT));
        for (uint256 place = 0; place < DISTINCT; ++place) {
            instruments = bytes.concat(instruments, _little(STRIDE * place, 3));
        }
        bytes memory realisations;
        for (uint256 account = 0; account < Limits.REALISATIONS_PER_CYCLE_MAX; ++account) {
            realisations = bytes.concat(realisations, _little(2 + account, 3), hex"00", instruments);
        }
        bytes memory payload = bytes.concat(_head(8), new bytes(20), hex"10", realisations);
        _check(rule, payload, "an expiry");
    }
}
