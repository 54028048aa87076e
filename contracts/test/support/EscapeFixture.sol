// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody, CustodyTerms} from "../../src/custody/Custody.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {StateParts} from "../../src/dispute/IDispute.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EntitlementKind, EscapeTerms} from "../../src/escape/IEscape.sol";
import {ParameterReader, ParameterStore} from "../../src/lib/ParameterStore.sol";
import {Signatures} from "../../src/lib/Signatures.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {Fixture} from "./Fixture.sol";
import {LedgerBuilder} from "./LedgerBuilder.sol";

/// @notice A pool with some money that covers what it is asked for, as far as it goes.
contract TestPool {
    TestUsdc private immutable _usdc;
    address private immutable _recipient;
    uint256 public asked;
    uint256 public calls;

    constructor(TestUsdc usdc, address recipient) {
        _usdc = usdc;
        _recipient = recipient;
    }

    function coverEscape(uint256 shortfall) external returns (uint256 paid) {
        asked = shortfall;
        ++calls;
        uint256 held = _usdc.balanceOf(address(this));
        paid = held < shortfall ? held : shortfall;
        // To the vault, or to the caller where no recipient is named.
        require(_usdc.transfer(_recipient == address(0) ? msg.sender : _recipient, paid));
    }
}

/// @notice The venue's contracts with an escape, oracles that sign, and a small ledger state that becomes final.
abstract contract EscapeFixture is Fixture, LedgerBuilder {
    uint64 internal constant MARK_SECONDS = 1 days;
    uint64 internal constant REGISTRATION_SECONDS = 14 days;
    uint64 internal constant LATE_SECONDS = 30 days;
    address internal constant TREASURY = address(0x3001);
    address internal constant INSURANCE = address(0x3002);
    address internal constant CAROL = address(0x2003);
    uint256 internal constant ORACLE_KEY = 0xa0;
    bytes32 internal constant MARKS_TYPE_HASH =
        keccak256("ClosingMarks(uint32 domain,uint64 anchor,bytes32 root,uint64 fixedAt,bytes32 content)");

    Escape internal escape;
    address internal store;
    address internal poolInUse;

    function deployVenue() internal {
        deployVenueWith(new TestUsdc());
    }

    /// @dev Nonces: policies, chain, custody, escape; the pool, where there is one, stands before.
    function deployVenueWith(TestUsdc token) internal {
        usdc = token;
        FixedWindowPolicy policy = new FixedWindowPolicy(WINDOW, GUARD);
        SingleProposer proposers = new SingleProposer(PROPOSER);
        uint64 nonce = vm.getNonce(address(this));
        address predictedCustody = vm.computeCreateAddress(address(this), nonce + 2);
        address predictedEscape = vm.computeCreateAddress(address(this), nonce + 3);
        bytes memory encoded = parametersFor(predictedCustody, 2);
        store = address(new ParameterStore(encoded));
        parametersHashInState = keccak256(encoded);
        chain = new BatchChain(termsOf(predictedCustody, GENESIS_ROOT, policy, proposers));
        CustodyTerms memory terms = custodyTerms(IERC20Metadata(address(token)));
        terms.escape = predictedEscape;
        custody = new Custody(terms);
        escape = new Escape(escapeTerms());
        vm.deal(PROPOSER, 1_000 ether);
    }

    function escapeTerms() internal view returns (EscapeTerms memory) {
        return EscapeTerms(chain, custody, DISPUTE, poolInUse, store, REGISTRATION_SECONDS, MARK_SECONDS, LATE_SECONDS);
    }

    /// @notice The canonical bytes of a set with three oracles and nothing else of interest.
    function parametersFor(address verifyingContract, uint8 quorum) internal view returns (bytes memory encoded) {
        encoded = new bytes(35 + 3 * 20 + 58 + ParameterReader.RISK_SCALARS + 8 * ParameterReader.RISK_SCALAR_COUNT);
        putSigned(encoded, 2, int256(uint256(DOMAIN)), 4);
        putSigned(encoded, 6, int256(block.chainid), 8);
        put(encoded, 14, abi.encodePacked(verifyingContract));
        encoded[34] = bytes1(uint8(3));
        for (uint256 i = 0; i < 3; ++i) {
            put(encoded, 35 + 20 * i, abi.encodePacked(vm.addr(ORACLE_KEY + i)));
        }
        encoded[35 + 60] = bytes1(quorum);
    }

    // ── the course of events ───────────────────────────────────────────────────────────────────────────────────────

    /// @notice Posts a batch that ends with the state as built; it consumes `cursorInState` entries.
    function postState() internal returns (uint64 number) {
        BatchHeader memory header;
        bytes memory data;
        (header, data) = nextBatch(2, rootOf(stateParts()));
        header.inboundCursor = cursorInState;
        header.inboundHash = custody.queueHash(cursorInState);
        post(header, data);
        return header.number;
    }

    function finaliseState() internal returns (uint64 number) {
        number = postState();
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
    }

    /// @notice Freezes by a forced entry that nobody consumes.
    function freezeByMissedEntry() internal returns (uint64 index) {
        uint24 account = openAccount(CAROL);
        vm.prank(CAROL);
        index = custody.forceWithdrawal(account, 1, CAROL);
        vm.warp(block.timestamp + FORCED_PERIOD + 1);
        escape.freezeForMissedEntry(index);
    }

    function fixAnchor() internal {
        escape.fixAnchor(stateParts(), address(0));
    }

    function startRegistration() internal {
        vm.warp(escape.marksUntil());
    }

    function closeBooks() internal {
        vm.warp(escape.registrationUntil());
        escape.close();
    }

    function startResidual() internal {
        vm.warp(uint256(escape.currentBooks().closedAt) + LATE_SECONDS);
    }

    function registerAccount(uint24 number) internal {
        escape.registerAccount(number, accountWitness(number));
    }

    function registerWithdrawal(uint32 number) internal {
        escape.registerWithdrawal(number, outboxInState[number], outboxPath(number));
    }

    function pay(EntitlementKind kind, uint64 number, address beneficiary) internal returns (uint256 paid) {
        uint256 before = usdc.balanceOf(beneficiary);
        escape.pay(kind, number);
        return usdc.balanceOf(beneficiary) - before;
    }

    function payAccount(uint24 number) internal returns (uint256) {
        return pay(EntitlementKind.ACCOUNT, number, ownerInState[number]);
    }

    // ── signatures ─────────────────────────────────────────────────────────────────────────────────────────────────

    function separator() internal view returns (bytes32) {
        return Signatures.domainSeparator(block.chainid, address(custody));
    }

    function compact(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return bytes.concat(r, s | bytes32(uint256(v - 27) << 255));
    }

    function markEntry(uint24 instrument, uint40 mark) internal pure returns (bytes memory) {
        return abi.encodePacked(instrument, mark);
    }

    function marksDigest(bytes memory marks) internal view returns (bytes32) {
        Escape.Anchor memory fixed_ = escape.anchorDetails();
        bytes32 structHash = keccak256(
            abi.encode(MARKS_TYPE_HASH, DOMAIN, fixed_.batchNumber, fixed_.root, fixed_.fixedAt, keccak256(marks))
        );
        return keccak256(bytes.concat(hex"1901", separator(), structHash));
    }

    /// @notice By oracles 0 and 2.
    function signMarks(bytes memory marks) internal view returns (bytes memory) {
        bytes32 digest = marksDigest(marks);
        return
            abi.encodePacked(uint8(2), uint8(0), compact(ORACLE_KEY, digest), uint8(2), compact(ORACLE_KEY + 2, digest));
    }

    function setMarks(bytes memory marks) internal {
        escape.setClosingMarks(marks, signMarks(marks));
    }
}
