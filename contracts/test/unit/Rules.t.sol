// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchChain} from "../../src/chain/IBatchChain.sol";
import {CyclesPath} from "../../src/dispute/CyclesPath.sol";
import {Dispute, DisputeTerms} from "../../src/dispute/Dispute.sol";
import {Cells} from "../../src/lib/Cells.sol";
import {CyclesTree} from "../../src/lib/CyclesTree.sol";
import {ParameterStore} from "../../src/lib/ParameterStore.sol";
import {RejectionCodes} from "../../src/lib/RejectionCodes.sol";
import {Signatures} from "../../src/lib/Signatures.sol";
import {State, StateWitness} from "../../src/lib/StateWitness.sol";
import {AdlRule} from "../../src/rules/AdlRule.sol";
import {AdminRule} from "../../src/rules/AdminRule.sol";
import {AuctionRule} from "../../src/rules/AuctionRule.sol";
import {BankruptcyRule} from "../../src/rules/BankruptcyRule.sol";
import {CreditRule} from "../../src/rules/CreditRule.sol";
import {ExpiryRule} from "../../src/rules/ExpiryRule.sol";
import {ICycleRule} from "../../src/rules/ICycleRule.sol";
import {InboundRule} from "../../src/rules/InboundRule.sol";
import {LiquidationRule} from "../../src/rules/LiquidationRule.sol";
import {OutboundRule} from "../../src/rules/OutboundRule.sol";
import {ReportRule} from "../../src/rules/ReportRule.sol";
import {RowsRule} from "../../src/rules/RowsRule.sol";
import {TradeRule} from "../../src/rules/TradeRule.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice What the rules promise for any bytes: an answer or a revert for the witness, nothing between. That they agree with
/// the ledger is test/evidence/differential.test.ts.
contract RulesTest is VmTest {
    ICycleRule[] private rules;

    function setUp() external {
        rules.push(new ReportRule());
        rules.push(new RowsRule());
        rules.push(new TradeRule());
        rules.push(new LiquidationRule());
        rules.push(new AuctionRule());
        rules.push(new BankruptcyRule());
        rules.push(new AdlRule());
        rules.push(new ExpiryRule());
        rules.push(new InboundRule());
        rules.push(new OutboundRule());
        rules.push(new CreditRule());
        rules.push(new AdminRule());
    }

    // ── payloads ───────────────────────────────────────────────────────────────────────────────────────────────────

    function testFuzz_anyPayloadIsAnswered(bytes memory payload, uint256 which, uint256 timeMs) external view {
        ICycleRule rule = rules[which % rules.length];
        bytes memory head = abi.encodePacked(uint8(1), uint8(rule.kind()), bytes8(uint64(timeMs) & 0xFFFFFFFF00000000));
        _answered(rule, abi.encodePacked(head, payload));
        _answered(rule, payload);
    }

    /// @notice Small counts make payloads that decode further.
    function testFuzz_smallBytesAreAnswered(bytes memory payload, uint256 which) external view {
        ICycleRule rule = rules[which % rules.length];
        for (uint256 i = 0; i < payload.length; ++i) {
            payload[i] = bytes1(uint8(payload[i]) % 5);
        }
        _answered(rule, abi.encodePacked(uint8(1), uint8(rule.kind()), uint64(0), payload));
    }

    /// @dev A list of accounts for every payload of the kind, strictly increasing; a revert for another kind alone.
    function _listed(ICycleRule rule, bytes memory payload, bool isUndecodable) private view {
        try rule.accountsOf(payload) returns (uint256[] memory accounts) {
            for (uint256 i = 1; i < accounts.length; ++i) {
                vm.assertLt(accounts[i - 1], accounts[i], "order");
            }
            if (isUndecodable) vm.assertEq(accounts.length, 0, "undecodable");
        } catch (bytes memory reason) {
            vm.assertTrue(bytes4(reason) == ICycleRule.KindMismatch.selector, "list reverted");
            vm.assertTrue(uint8(payload[1]) != rule.kind(), "list of its own kind reverted");
        }
    }

    /// @dev An undecodable payload has a code; any other gets to the witness, which is empty here.
    function _answered(ICycleRule rule, bytes memory payload) private view {
        try rule.execute(address(0), 0, payload, "") returns (uint256 code, bytes32 root) {
            vm.assertTrue(code == RejectionCodes.MALFORMED || code == RejectionCodes.INBOUND_QUEUE_ORDER, "code");
            vm.assertEq(root, bytes32(0));
            _listed(rule, payload, true);
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            bool isKnown = selector == StateWitness.WitnessMalformed.selector
                || (selector == ICycleRule.KindMismatch.selector && uint8(payload[1]) != rule.kind());
            vm.assertTrue(isKnown, "reason");
            _listed(rule, payload, false);
        }
    }

    // ── witnesses ──────────────────────────────────────────────────────────────────────────────────────────────────

    function loadWitness(bytes calldata witness) external pure returns (uint256) {
        State memory state = StateWitness.load(witness);
        return state.accounts.cells.length;
    }

    function verifyWitness(bytes calldata witness, bytes32 root) external pure returns (bytes32) {
        return StateWitness.verify(StateWitness.load(witness), root);
    }

    function _bare(bytes32[4] memory roots) private pure returns (bytes memory witness) {
        witness = new bytes(Cells.GLOBALS_BYTES);
        for (uint256 i = 0; i < 4; ++i) {
            witness = abi.encodePacked(witness, uint16(0), uint16(1), roots[i]);
        }
    }

    function testFuzz_treesWithoutCellsHaveTheirRoots(bytes32[4] memory roots) external view {
        bytes memory witness = _bare(roots);
        bytes32 globalsHash = keccak256(new bytes(Cells.GLOBALS_BYTES));
        bytes32 root = keccak256(abi.encode(roots[0], roots[1], roots[2], roots[3], globalsHash));
        vm.assertEq(this.verifyWitness(witness, root), root);
    }

    function testFuzz_anyOtherRootReverts(bytes32[4] memory roots, bytes32 root) external {
        vm.expectPartialRevert(StateWitness.StateRootMismatch.selector);
        this.verifyWitness(_bare(roots), root);
    }

    function testFuzz_cutAndLongWitnessesRevert(bytes32[4] memory roots, uint256 length) external {
        bytes memory witness = _bare(roots);
        vm.expectRevert(StateWitness.WitnessMalformed.selector);
        this.loadWitness(abi.encodePacked(witness, uint8(0)));
        length = length % witness.length;
        assembly ("memory-safe") {
            mstore(witness, length)
        }
        vm.expectRevert(StateWitness.WitnessMalformed.selector);
        this.loadWitness(witness);
    }

    /// @notice An absent cell is a zero leaf: folding it over 24 levels of its siblings gives the empty tree's root.
    function testFuzz_absenceIsProven(uint24 index) external view {
        bytes32 node = 0;
        bytes memory siblings;
        for (uint256 height = 0; height < 24; ++height) {
            siblings = abi.encodePacked(siblings, node);
            node = keccak256(abi.encodePacked(node, node));
        }
        bytes memory empty = abi.encodePacked(uint16(0), uint16(1), bytes32(0));
        bytes memory witness = abi.encodePacked(
            new bytes(Cells.GLOBALS_BYTES),
            empty,
            uint16(1),
            uint16(24),
            uint32(index),
            uint16(0),
            siblings,
            empty,
            empty
        );
        bytes32 globalsHash = keccak256(new bytes(Cells.GLOBALS_BYTES));
        bytes32 root = keccak256(abi.encode(bytes32(0), node, bytes32(0), bytes32(0), globalsHash));
        vm.assertEq(this.verifyWitness(witness, root), root);
    }

    // ── signatures ─────────────────────────────────────────────────────────────────────────────────────────────────

    function recoverSigner(bytes32 hash, bytes calldata signature) external view returns (address) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := signature.offset
        }
        return Signatures.recover(hash, offset);
    }

    function testFuzz_recoverIsThePrecompileForLowS(bytes32 hash, bytes32 r, uint256 s, bool parity) external view {
        uint256 half = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
        s = s >> 1;
        bytes32 vs = bytes32(s | (parity ? 1 << 255 : 0));
        address expected = s > half ? address(0) : ecrecover(hash, parity ? 28 : 27, r, bytes32(s));
        vm.assertEq(this.recoverSigner(hash, abi.encodePacked(r, vs)), expected);
    }

    /// @notice Starved of gas it reverts or answers the same: never "no signer" for want of gas.
    function test_gasDoesNotChangeTheSigner() external view {
        // The abscissa of the generator: some key made this signature.
        bytes32 r = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
        bytes memory signature = abi.encodePacked(r, uint256(7));
        address expected = this.recoverSigner("hash", signature);
        vm.assertTrue(expected != address(0));
        uint256 answers = 0;
        for (uint256 gas_ = 500; gas_ < 14_000; gas_ += 37) {
            try this.recoverSigner{gas: gas_}("hash", signature) returns (address signer) {
                vm.assertEq(signer, expected);
                answers += 1;
            } catch {}
        }
        vm.assertGe(answers, 10, "answers");
    }

    // ── cycles tree ────────────────────────────────────────────────────────────────────────────────────────────────

    function cycleRoot(uint256 index, uint256 count, bytes32[] calldata path) external pure returns (bytes32) {
        return CyclesPath.root(bytes32(index + 1), uint32(index + 9), bytes32(index + 77), index, count, path);
    }

    function _siblings(bytes32[] memory nodes, uint256 index) private pure returns (bytes32[] memory path) {
        path = new bytes32[](9);
        uint256 used = 0;
        for (uint256 width = nodes.length; width > 1; width = (width + 1) / 2) {
            uint256 sibling = index % 2 == 0 ? index + 1 : index - 1;
            if (sibling < width) path[used++] = nodes[sibling];
            for (uint256 i = 0; i < width / 2; ++i) {
                nodes[i] = keccak256(abi.encodePacked(uint8(1), nodes[2 * i], nodes[2 * i + 1]));
            }
            if (width % 2 == 1) nodes[width / 2] = nodes[width - 1];
            index /= 2;
        }
        assembly ("memory-safe") {
            mstore(path, used)
        }
    }

    function testFuzz_cyclePath(uint8 countLess, uint256 index, uint256 flip) external {
        uint256 count = uint256(countLess) + 1;
        index = index % count;
        bytes32[] memory nodes = new bytes32[](count);
        bytes32[] memory again = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            nodes[i] = CyclesTree.leaf(bytes32(i + 1), uint32(i + 9), bytes32(i + 77));
            again[i] = nodes[i];
        }
        bytes32[] memory path = _siblings(again, index);
        bytes32 root = CyclesTree.fold(nodes);
        vm.assertEq(this.cycleRoot(index, count, path), root);
        if (path.length > 0) {
            path[flip % path.length] ^= bytes32(uint256(1) << (flip % 256));
            vm.assertTrue(this.cycleRoot(index, count, path) != root, "sibling");
        }
        vm.expectRevert(CyclesPath.PathMalformed.selector);
        this.cycleRoot(index, count, new bytes32[](path.length + 1));
        vm.expectRevert(CyclesPath.PathMalformed.selector);
        this.cycleRoot(count, count, path);
    }

    // ── dispute ────────────────────────────────────────────────────────────────────────────────────────────────────

    function termsOf(IBatchChain chain, address store, uint256 kinds) private pure returns (DisputeTerms memory) {
        return DisputeTerms(chain, store, kinds, address(0), address(0));
    }

    function test_disputeKnowsItsRules() external {
        address store = address(new ParameterStore(hex"0102"));
        vm.assertEq(store.code, hex"000102");
        IBatchChain chain = IBatchChain(address(0xC4A1));
        Dispute dispute = new Dispute(termsOf(chain, store, 0x1FFE), rules);
        vm.assertEq(address(dispute.ruleOf(3)), address(rules[2]));
        vm.expectRevert(abi.encodeWithSelector(Dispute.RuleOfUnknownKind.selector, 1));
        new Dispute(termsOf(chain, store, 0), rules);
        ICycleRule[] memory twice = new ICycleRule[](2);
        twice[0] = rules[0];
        twice[1] = rules[0];
        vm.expectRevert(abi.encodeWithSelector(Dispute.RuleTwice.selector, 1));
        new Dispute(termsOf(chain, store, 0x1FFE), twice);
        vm.expectRevert(abi.encodeWithSelector(Dispute.ParametersWithoutCode.selector, address(0xE0A)));
        new Dispute(termsOf(chain, address(0xE0A), 0x1FFE), rules);
        vm.deal(address(this), 1 ether);
        (bool isSent, bytes memory reason) = address(dispute).call{value: 1}("");
        vm.assertFalse(isSent);
        vm.assertEq(reason, abi.encodeWithSelector(Dispute.CallerNotBatchChain.selector, address(this)));
    }
}
